"""``mmdssl study`` where OpenMMLab users look for it."""

from mmdssl.cli.study import main

if __name__ == '__main__':
    raise SystemExit(main())

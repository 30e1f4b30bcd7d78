"""The same as ``mmdssl train``, where OpenMMLab users look for it."""

from mmdssl.cli.train import main

if __name__ == '__main__':
    main()

"""The same as ``mmdssl scenes``, where OpenMMLab users look for it."""

import sys

from mmdssl.cli.scenes import main

if __name__ == '__main__':
    sys.exit(main())

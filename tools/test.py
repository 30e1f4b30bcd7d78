"""The same as ``mmdssl test``, where OpenMMLab users look for it."""

import sys

from mmdssl.cli.test import main

if __name__ == '__main__':
    sys.exit(main())

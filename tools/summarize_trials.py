"""The same as ``mmdssl trials``, where OpenMMLab users look for it."""

import sys

from mmdssl.cli.trials import main

if __name__ == '__main__':
    sys.exit(main())

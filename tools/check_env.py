"""The same as ``mmdssl doctor``, where OpenMMLab users look for it."""

import sys
from pathlib import Path

# Works where nothing is installed, this package included.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmdssl.cli.doctor import main

if __name__ == '__main__':
    sys.exit(main())

"""``python -m mmdssl COMMAND ...``: the same as the console script."""

import sys

from mmdssl.cli import main

sys.exit(main())

"""The same as ``mmdssl browse``, where OpenMMLab users look for it."""

import sys

from mmdssl.cli.arguments import renamed
from mmdssl.cli.browse import main

if __name__ == '__main__':
    sys.exit(main(renamed(sys.argv[1:], {'--images': '--max-images'})))

"""The same as ``mmdssl convert``, where OpenMMLab users look for it."""

import sys

from mmdssl.cli.arguments import renamed
from mmdssl.cli.convert import main

if __name__ == '__main__':
    sys.exit(main(renamed(sys.argv[1:], {'--what': '--source'})))

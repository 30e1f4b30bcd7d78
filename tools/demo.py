"""The same as ``mmdssl demo``, where OpenMMLab users look for it."""

import sys

from mmdssl.cli.arguments import renamed
from mmdssl.cli.demo import main

if __name__ == '__main__':
    sys.exit(main(renamed(sys.argv[1:], {'--data': '--data-root'})))

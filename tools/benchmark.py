"""The same as ``mmdssl benchmark``, where OpenMMLab users look for it."""

import sys

from mmdssl.cli.arguments import renamed
from mmdssl.cli.benchmark import main

if __name__ == '__main__':
    sys.exit(main(renamed(sys.argv[1:], {'--images': '--image-dir'})))

"""The same as ``mmdssl openimages``, where OpenMMLab users look for it."""

import sys

from mmdssl.cli.arguments import renamed
from mmdssl.cli.openimages import main

if __name__ == '__main__':
    sys.exit(main(renamed(sys.argv[1:], {'--images': '--image-dir'})))

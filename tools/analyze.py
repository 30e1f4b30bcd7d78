"""The same as ``mmdssl analyze``, where OpenMMLab users look for it."""

import sys

from mmdssl.cli.analyze import main
from mmdssl.cli.arguments import renamed

if __name__ == '__main__':
    sys.exit(main(renamed(sys.argv[1:], {'--images': '--image-dir'})))

"""The same as ``mmdssl benchmark gpu``, where OpenMMLab users look for it."""

import sys
from pathlib import Path

# For a bare machine: the checkout need not be installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmdssl.cli.arguments import renamed
from mmdssl.cli.benchmark_gpu import main

if __name__ == '__main__':
    sys.exit(main(renamed(sys.argv[1:], {'--photos': '--data-root'})))

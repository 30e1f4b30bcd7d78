"""The front door: ``mmdssl COMMAND ...`` and ``python -m mmdssl COMMAND ...``.

Each command is a script that OpenMMLab users find under ``tools/``; an installed wheel carries them
in ``mmdssl/.mim/tools``.
"""

import runpy
import sys
from pathlib import Path

COMMANDS = {
    'train': 'train.py',
    'test': 'test.py',
    'analyze': 'analyze.py',
    'convert': 'convert.py',
    'proposals': 'make_proposals.py',
    'scenes': 'make_scenes.py',
    'browse': 'browse_dataset.py',
    'benchmark': 'benchmark.py',
    'doctor': 'check_env.py',
    'demo': 'demo.py',
}


def main() -> None:
    """Runs the command that the first argument names."""
    name = sys.argv[1] if len(sys.argv) > 1 else ''
    if name not in COMMANDS:
        known = ', '.join(COMMANDS)
        raise SystemExit(f'mmdssl: {name!r} is no command; there are: {known}')
    package = Path(__file__).resolve().parent.parent
    carried = package / '.mim/tools'
    folder = carried if carried.is_dir() else package.parent / 'tools'
    sys.argv[:2] = [f'mmdssl {name}']
    runpy.run_path(str(folder / COMMANDS[name]), run_name='__main__')

"""The front door: ``mmdssl COMMAND ...`` and ``python -m mmdssl COMMAND ...``.

A command is the module of this package with its name: ``main`` reads the command line, runs, and
returns the exit status. Modules are imported when they are asked for, so that the list of commands
needs nothing but Python.
"""

import difflib
import importlib
import importlib.util
import sys
from collections.abc import Sequence

from mmdssl.version import __version__

__all__ = ['COMMANDS', 'main']

COMMANDS = {
    'pretrain': 'pre-train a method on your images; what depends on them and the device is set',
    'train': 'train a pre-training, detection or segmentation config',
    'test': 'evaluate a frozen backbone (O-KNN), or a fine-tuned detector or segmentor',
    'analyze': 'measure and draw coupling, O-KNN, position, consistency, affinity; a report',
    'card': 'measure networks side by side on your labelled photos: one page',
    'convert': 'export, import and publish checkpoints',
    'proposals': 'search images for boxes that may hold objects (SoCo, D3SSL)',
    'shards': 'put images into tar shards, and check them',
    'scenes': 'write a synthetic multi-object data set',
    'openimages': 'choose the images of OpenImage-MINI',
    'browse': 'draw what a config feeds its model',
    'study': 'train and measure the rows of a published table',
    'trials': 'mean and standard deviation over several runs of one config',
    'benchmark': 'measure the speed of the package on this machine',
    'doctor': 'what is installed, what is missing for what, and how to repair it',
    'demo': 'data, pre-training, evaluation and a report in minutes, on a CPU',
}


def main(argv: Sequence[str] | None = None) -> int | None:
    """Run the command that the first argument names; 2 where it names none."""
    name, *rest = (sys.argv[1:] if argv is None else argv) or ['']
    # A command that this installation lacks is not offered.
    known = {one: does for one, does in COMMANDS.items() if importlib.util.find_spec(_module(one))}
    if name == '--version':
        print(f'mmdssl {__version__}')
        return 0
    if name in ('', '-h', '--help'):
        print('usage: mmdssl COMMAND ...\n')
        print('\n'.join(f'  {one:<12} {does}' for one, does in known.items()))
        print('\nmmdssl COMMAND --help explains one of them.')
        return 0 if name else 2
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        advice = f'did you mean {near[0]!r}?' if near else 'mmdssl --help lists them'
        print(f'error: mmdssl has no command {name!r}: {advice}', file=sys.stderr)
        return 2
    sys.argv = [f'mmdssl {name}', *rest]  # what the command's usage begins with
    try:
        command = importlib.import_module(_module(name))
    except ModuleNotFoundError as error:
        package = (error.name or '').partition('.')[0]
        if package in ('', 'mmdssl'):
            raise
        print(
            f'error: mmdssl {name} needs {package}, which is not installed: pip install '
            '"mmdssl[pretrain]"; mmdssl doctor says what else is missing',
            file=sys.stderr,
        )
        return 2
    return command.main()


def _module(name: str) -> str:
    return f'{__name__}.{name}'

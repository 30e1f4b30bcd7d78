"""Measure and draw what the papers' figures show, several checkpoints side by side.

    python tools/analyze.py coupling CONFIG base=a.pth ours=b.pth random --out work_dirs/analysis
    python tools/analyze.py cutout-ratio --out work_dirs/analysis
    python tools/analyze.py coupling --help

CONFIG is that of a pre-training run, whose backbone is taken, or one whose model is a
FeatureExtractor. ``report`` writes one page; every other command prints a table, writes it as CSV
and, with command line, seed, data and versions, as JSON, and draws pictures. Each is one function
in ``tools/analyses``: it declares its arguments on the parser it gets and returns what to run.
``COMMANDS`` lists them.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

# Run as a script, only this folder is on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmdssl.engine.command_line import CommandLine
from mmdssl.engine.plain_errors import says_what_happened
from tools.analyses.affinity import affinity
from tools.analyses.common import Run
from tools.analyses.consistency import consistency
from tools.analyses.coupling import coupling
from tools.analyses.cutout_ratio import cutout_ratio
from tools.analyses.object_knn import object_knn
from tools.analyses.position import position
from tools.analyses.report import report

COMMANDS: dict[str, Callable[[argparse.ArgumentParser], Run]] = {
    'object-knn': object_knn,
    'coupling': coupling,
    'position': position,
    'consistency': consistency,
    'affinity': affinity,
    'cutout-ratio': cutout_ratio,
    'report': report,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and run one sub-command; bad input ends in one sentence."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    for name, define in COMMANDS.items():
        command = commands.add_parser(name, help=define.__doc__, description=define.__doc__)
        command.add_argument(
            '--out',
            type=Path,
            default=Path('work_dirs/analysis'),
            help='folder for the table and the pictures (default: %(default)s)',
        )
        command.set_defaults(run=define(command))
    args = parser.parse_args(argv)
    # A command that writes one page may be given its file.
    folder = args.out.parent if args.out.suffix == '.html' else args.out
    try:
        folder.mkdir(parents=True, exist_ok=True)
        args.run(args)
    except (ValueError, OSError) as error:
        sys.exit(f'error: {says_what_happened(error)}')


if __name__ == '__main__':
    main()

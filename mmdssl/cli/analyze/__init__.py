"""Measure and draw what the papers' figures show, several checkpoints side by side.

    mmdssl analyze coupling CONFIG base=a.pth ours=b.pth random --out work_dirs/analysis
    mmdssl analyze cutout-ratio --out work_dirs/analysis
    mmdssl analyze masks --out work_dirs/analysis
    mmdssl analyze coupling --help

CONFIG is that of a pre-training run, whose backbone is taken, or one whose model is a
FeatureExtractor. `report` writes one page, `masks` only draws. Every other command prints a table,
writes it as CSV and, with command line, seed, data and versions, as JSON, and draws pictures.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from mmdssl.cli.analyze.affinity import affinity
from mmdssl.cli.analyze.common import Run
from mmdssl.cli.analyze.consistency import consistency
from mmdssl.cli.analyze.coupling import coupling
from mmdssl.cli.analyze.cutout_ratio import cutout_ratio
from mmdssl.cli.analyze.masks import masks
from mmdssl.cli.analyze.object_knn import object_knn
from mmdssl.cli.analyze.position import position
from mmdssl.cli.analyze.report import report
from mmdssl.cli.arguments import failed
from mmdssl.engine.command_line import CommandLine

# Each declares its arguments on the parser it gets and returns what to run.
COMMANDS: dict[str, Callable[[argparse.ArgumentParser], Run]] = {
    'object-knn': object_knn,
    'coupling': coupling,
    'position': position,
    'consistency': consistency,
    'affinity': affinity,
    'cutout-ratio': cutout_ratio,
    'masks': masks,
    'report': report,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; 0, or 2 with one sentence on unusable input."""
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
        return failed(error)
    return 0

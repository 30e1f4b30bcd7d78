"""Measure and draw what the papers' figures show; every sub-command writes a CSV and pictures.

    python tools/analyze.py cutout-ratio --out work_dirs/analysis
    python tools/analyze.py cutout-ratio --help

A sub-command is one function: it declares its arguments on the parser it gets
and returns what to run with the parsed ones. ``COMMANDS`` lists them.
"""

import argparse
import csv
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

# Run as a script, only this folder is on the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.analyses.report import report

Run = Callable[[argparse.Namespace], None]


def cutout_ratio(parser: argparse.ArgumentParser) -> Run:
    """Realised cutout ratio against the number of regions (Mind Your Augmentation, Fig. 11)."""
    parser.add_argument('--ratio', type=float, default=0.4, help='share to cut of each region')
    parser.add_argument('--size', type=int, default=224, help='side of the mask in pixels')
    parser.add_argument('--repeats', type=int, default=500, help='masks per point')
    parser.add_argument(
        '--regions',
        type=int,
        nargs='+',
        default=[1, 2, 4, 6, 8, 10, 12, 16],
        help='numbers of regions',
    )
    parser.add_argument('--seed', type=int, default=0)

    def run(args: argparse.Namespace) -> None:
        from rich.progress import track

        from mmdssl.evaluation.cutout_ratio import (
            CUTOUT_VARIANTS,
            cutout_examples,
            cutout_ratio_curve,
        )
        from mmdssl.visualization.masks import draw_cutout_ratio, draw_masks

        rows = []
        for variant in track(CUTOUT_VARIANTS, description='cutout variants'):
            rows += cutout_ratio_curve(
                counts=args.regions,
                ratio=args.ratio,
                size=args.size,
                repeats=args.repeats,
                seed=args.seed,
                variants=[variant],
            )
        print(f'{"regions":32}' + ''.join(f'{count:8d}' for count in args.regions))
        for variant in CUTOUT_VARIANTS:
            points = [row['realised'] for row in rows if row['variant'] == variant]
            print(f'{variant:32}' + ''.join(f'{value:8.3f}' for value in points))
        boxes, masks = cutout_examples(ratio=args.ratio, size=args.size, seed=args.seed)
        for path in (
            write_csv(args.out / 'cutout_ratio.csv', rows),
            draw_cutout_ratio(rows, args.out / 'cutout_ratio.png', ratio=args.ratio),
            draw_masks(masks, args.out / 'cutout_masks.png', boxes=boxes),
        ):
            print(f'wrote {path}')

    return run


COMMANDS: dict[str, Callable[[argparse.ArgumentParser], Run]] = {
    'cutout-ratio': cutout_ratio,
    'report': report,
}


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows with the same keys, the keys as header; gives the path back."""
    with path.open('w', newline='') as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and run one sub-command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    for name, define in COMMANDS.items():
        command = commands.add_parser(name, help=define.__doc__, description=define.__doc__)
        command.add_argument(
            '--out',
            type=Path,
            default=Path('work_dirs/analysis'),
            help='folder for the CSV and the pictures (default: %(default)s)',
        )
        command.set_defaults(run=define(command))
    args = parser.parse_args(argv)
    # A command that writes one page may be given its file.
    folder = args.out.parent if args.out.suffix == '.html' else args.out
    folder.mkdir(parents=True, exist_ok=True)
    args.run(args)


if __name__ == '__main__':
    main()

"""What masks really cut of the regions they were drawn for."""

import argparse
from typing import Any

from mmdssl.cli.analyze.common import Run, write_results

__all__ = ['cutout_ratio']


def cutout_ratio(parser: argparse.ArgumentParser) -> Run:
    """Realised cutout ratio against the number of regions (Mind Your Augmentation, Fig. 11)."""
    parser.add_argument('--ratio', type=float, default=0.4, help='fraction to cut of each region')
    parser.add_argument('--size', type=int, default=224, help='side of the mask in pixels')
    parser.add_argument('--repeats', type=int, default=500, help='masks per point')
    parser.add_argument(
        '--regions',
        type=int,
        nargs='+',
        default=[1, 2, 4, 6, 8, 10, 12, 16],
        help='numbers of regions',
    )
    parser.add_argument('--seed', type=int, default=0, help='of the masks (default: 0)')
    return _run


def _run(args: argparse.Namespace) -> None:
    from rich.progress import track

    from mmdssl.evaluation.cutout_ratio import CUTOUT_VARIANTS, cutout_examples, cutout_ratio_curve
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
    shown: dict[str, dict[str, Any]] = {}
    for row in rows:
        cells = shown.setdefault(row['variant'], {'realised, by number of regions': row['variant']})
        cells[str(row['regions'])] = row['realised']
    write_results(args, 'cutout_ratio', rows, networks=[], data={}, shown=list(shown.values()))
    boxes, masks = cutout_examples(ratio=args.ratio, size=args.size, seed=args.seed)
    for path in (
        draw_cutout_ratio(rows, args.out / 'cutout_ratio.png', ratio=args.ratio),
        draw_masks(masks, args.out / 'cutout_masks.png', boxes=boxes),
    ):
        print(f'wrote {path}')

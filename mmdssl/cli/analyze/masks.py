"""Kinds of masks, numbers of grids and the steps of RCC, drawn on one picture."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mmdssl.cli.analyze.common import Run
from mmdssl.cli.arguments import positive

if TYPE_CHECKING:
    import numpy as np

__all__ = ['masks']

_SIDE = 224


def masks(parser: argparse.ArgumentParser) -> Run:
    """Draw RCC step by step, four kinds of masks, and RCC with 1 to 4 grids, on one picture."""
    parser.add_argument('--image', type=Path, help='picture behind the masks (a generated scene)')
    parser.add_argument('--channels', type=positive, help='of the picture, where it is no photo')
    parser.add_argument('--cells', type=int, default=14, help='rows and columns of masks (14)')
    parser.add_argument('--grid', type=int, default=2, help='regions of the kinds: N x N (2)')
    parser.add_argument('--count', type=int, default=6, help='draws of each kind (6)')
    parser.add_argument('--seed', type=int, default=0, help='of the masks and the scene (0)')
    return _run


def _run(args: argparse.Namespace) -> None:
    import cv2
    import numpy as np

    from mmdssl.datasets.scenes import SceneSpec
    from mmdssl.datasets.scenes.layout import draw_layout
    from mmdssl.datasets.scenes.render import render
    from mmdssl.visualization.mask_examples import (
        draw_grid_numbers,
        draw_mask_kinds,
        draw_rcc_steps,
    )

    for name in ('cells', 'grid', 'count'):
        if getattr(args, name) < 1:
            raise ValueError(f'--{name} {getattr(args, name)} must be at least 1')
    if args.image is None:
        # No blue: that is what masks are drawn in.
        hues = ('red', 'green', 'yellow', 'pink')
        spec = SceneSpec(size=_SIDE, seed=args.seed, objects=(5, 6), hues=hues)
        image = render(spec, draw_layout(spec, 'train', 0), 'train', 0)
    else:
        side = (_SIDE, _SIDE)
        found = cv2.resize(_picture(args), side, interpolation=cv2.INTER_AREA)
        image = np.asarray(found, np.uint8)
    cells, many = (args.cells, args.cells), dict(count=args.count, seed=args.seed)
    for path in (
        draw_rcc_steps(image, args.out / 'rcc_steps.png'),
        draw_mask_kinds(image, cells, args.out / 'mask_kinds.png', grid=args.grid, **many),
        draw_grid_numbers(image, cells, args.out / 'grid_numbers.png', **many),
    ):
        print(f'wrote {path}')


def _picture(args: argparse.Namespace) -> 'np.ndarray':
    """Pixels (H, W, 3) uint8 of ``--image``; of n channels false colours in its own range."""
    from mmdssl.datasets.channels import ChannelReader, channel_statistics, false_colours
    from mmdssl.datasets.decode import decode_image
    from mmdssl.datasets.image_list import ByteStrings

    if args.channels is None:
        return decode_image(args.image)
    alone = ByteStrings.pack([bytes(args.image)])
    found = channel_statistics(alone, lambda _: args.image, channels=args.channels, cache=None)
    return false_colours(ChannelReader(channels=args.channels, scale=found.scale)(args.image))

"""Masks on one picture: kinds, numbers of grids, and Region Collaborative Cutout step by step.

After Fig. 12, 13 and 10 of "Mind Your Augmentation" (ICLR 2024). Nothing here repeats the rules:
transforms draw the masks, and a step of RCC is RCC of the regions up to it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8
from matplotlib.patches import Rectangle

from mmdssl.datasets.transforms.region_collaborative_cutout import cut_regions, rasterise
from mmdssl.evaluation.cutout_ratio import cut_shares
from mmdssl.evaluation.guards import preserve_rng_state
from mmdssl.registry import TRANSFORMS
from mmdssl.visualization.figure import COLOURS, MUTED, overlay, picture_axes, save_figure, sheet
from mmdssl.visualization.masks import draw_masks

__all__ = ['draw_grid_numbers', 'draw_mask_kinds', 'draw_rcc_steps', 'rcc_steps']

#: Masks that cut (about) the same share, for comparison over the same regions. Those behind the
#: second are made of patches and need a grid of them.
_MASK_KINDS = {
    'region collaborative\ncutout (RCC)': dict(type='RegionCollaborativeCutout', ratio=0.4),
    'cutout of\nevery region': dict(type='ProposalCutout', ratio=0.4),
    'block-wise\n(iBOT)': dict(type='BlockwiseMask', ratio=0.4, min_area=4),
    'random\npatches': dict(type='RandomPatchMask', ratio=0.4),
}
#: Two regions that overlap, as shares of the picture, and the draws of their cuts: the first cut
#: covers most of the second region.
_REGIONS = np.array([[0.06, 0.10, 0.78, 0.84], [0.42, 0.32, 0.96, 0.72]])
_DRAWS = (0.85, 0.55, 0.15, 0.7)


def draw_mask_kinds(
    image: UInt8[np.ndarray, 'h w 3'],
    cells: tuple[int, int],
    path: str | Path,
    *,
    grid: int = 3,
    count: int = 6,
    seed: int = 0,
) -> Path:
    """Kinds of masks over the same grid regions; a row per kind (Fig. 12: ``grid=2``).

    Args:
        image: (H, W, 3) uint8 RGB behind the masks.
        cells: Rows and columns of the masks; at pixel resolution masks of patches are left out.
        path: PNG to write.
        grid: Regions: one in each of ``grid x grid`` cells.
        count: Draws of each kind.
        seed: Of the draws; the random state of the process is given back.
    """
    wanted = list(_MASK_KINDS.items())[: 2 if cells == image.shape[:2] else None]
    kinds = {label: TRANSFORMS.build({**kind, 'mask_size': cells}) for label, kind in wanted}
    regions = TRANSFORMS.build(dict(type='GridRegions', grid=grid))
    masks: dict[str, list[np.ndarray]] = {label: [] for label in kinds}
    boxes = []
    with preserve_rng_state():
        np.random.seed(seed)
        for _ in range(count):
            results = regions({'img': image})
            boxes.append(_shares(results['regions'], image))
            for label, kind in kinds.items():
                masks[label].append(kind(dict(results))['mask'])
    return draw_masks(masks, path, boxes=boxes, image=image)


def draw_grid_numbers(
    image: UInt8[np.ndarray, 'h w 3'],
    cells: tuple[int, int],
    path: str | Path,
    *,
    numbers: Sequence[int] = (1, 2, 3, 4),
    ratio: float = 0.4,
    count: int = 6,
    seed: int = 0,
) -> Path:
    """RCC with one region in each of N x N cells; a row per N (Fig. 13), without the regions.

    Args:
        image: (H, W, 3) uint8 RGB behind the masks.
        cells: Rows and columns of the masks.
        path: PNG to write.
        numbers: The N.
        ratio: Share to cut out of every region.
        count: Draws of each.
        seed: Of the draws; the random state of the process is given back.
    """
    cut = TRANSFORMS.build(dict(type='RegionCollaborativeCutout', ratio=ratio, mask_size=cells))
    masks: dict[str, list[np.ndarray]] = {}
    with preserve_rng_state():
        np.random.seed(seed)
        for number in numbers:
            regions = TRANSFORMS.build(dict(type='GridRegions', grid=number))
            drawn = [cut(regions({'img': image}))['mask'] for _ in range(count)]
            masks[f'{number} x {number}'] = drawn
    return draw_masks(masks, path, image=image)


def rcc_steps(
    boxes: Float[np.ndarray, 'n 4'],
    draws: Sequence[float],
    *,
    ratio: float,
    height: int,
    width: int,
) -> list[tuple[int, str, Bool[np.ndarray, 'h w']]]:
    """What RCC does region by region.

    Args:
        boxes: (N, 4) x1 y1 x2 y2 in cells of the mask, each with an area within it.
        draws: 2 N uniform numbers from [0, 1), as :func:`cut_regions` takes them.
        ratio: Share to cut out of every region.
        height: Rows of the mask.
        width: Columns.

    Returns:
        From the largest region on: its index, ``'restored'`` (only where it had lost more than its
        share) or ``'cut'``, and the mask then, bool (height, width), True = cut.
    """
    areas = rasterise(boxes, height, width)[1]
    order = sorted(range(len(areas)), key=areas.__getitem__, reverse=True)

    def masked(ratios: Sequence[float]) -> np.ndarray:
        known = boxes[order[: len(ratios)]]
        return cut_regions(known, ratios=ratios, height=height, width=width, draws=draws)

    steps: list[tuple[int, str, np.ndarray]] = []
    mask = np.zeros((height, width), bool)
    for done, index in enumerate(order):
        if cut_shares(boxes[[index]], mask)[0] > ratio:
            # A region that is to lose nothing gets back whatever others took.
            steps.append((index, 'restored', masked([ratio] * done + [0.0])))
        mask = masked([ratio] * (done + 1))
        steps.append((index, 'cut', mask))
    return steps


def draw_rcc_steps(
    image: UInt8[np.ndarray, 'h w 3'],
    path: str | Path,
    *,
    boxes: Float[np.ndarray, 'n 4'] = _REGIONS,
    draws: Sequence[float] = _DRAWS,
    ratio: float = 0.4,
) -> Path:
    """RCC step by step (Fig. 10): the regions, then each restored and cut in turn.

    Args:
        image: (H, W, 3) uint8 RGB behind the mask, which has its resolution.
        path: PNG to write.
        boxes: (N, 4) regions, x1 y1 x2 y2 as shares of the picture; by default two of which the
            smaller one is cut too much by the cut of the larger one.
        draws: 2 N uniform numbers, see :func:`cut_regions`.
        ratio: Share to cut out of every region.
    """
    height, width = image.shape[:2]
    pixels = boxes * np.array([width, height] * 2)
    steps = rcc_steps(pixels, draws, ratio=ratio, height=height, width=width)
    colours = [COLOURS[name] for name in ('vermillion', 'yellow', 'purple', 'sky', 'green')]
    panels: list[tuple[str, int | None, np.ndarray]] = [
        ('regions', None, np.zeros((height, width), bool)),
        *((f'region {index + 1}: {what}', index, mask) for index, what, mask in steps),
    ]
    figure, axes = sheet(1, len(panels), width=2.1 * len(panels), height=2.6)
    for place, (title, active, mask) in zip(axes[0], panels, strict=True):
        picture_axes(place)
        place.set_title(title, fontsize=8.5, loc='left')
        place.imshow(overlay(image, mask, colour=COLOURS['blue']), interpolation='nearest')
        shares = cut_shares(pixels, mask)
        words = [f'{number + 1}: {share:.0%}' for number, share in enumerate(shares)]
        place.set_xlabel('lost by ' + ', '.join(words), fontsize=7, color=MUTED, labelpad=2)
        for number, (x1, y1, x2, y2) in enumerate(pixels):
            colour = colours[number % len(colours)]
            place.text(
                x1 + 4,
                y1 + 4,
                str(number + 1),
                fontsize=8,
                va='top',
                bbox=dict(facecolor=colour, edgecolor='none', pad=1.5),
            )
            place.add_patch(
                Rectangle(
                    (x1 - 0.5, y1 - 0.5),
                    x2 - x1,
                    y2 - y1,
                    fill=False,
                    edgecolor=colour,
                    linewidth=2.6 if number == active else 1.2,
                    linestyle='-' if active in (None, number) else '--',
                )
            )
    return save_figure(figure, path)


def _shares(
    boxes: Float[np.ndarray, 'n 4'], image: UInt8[np.ndarray, 'h w 3']
) -> Float[np.ndarray, 'n 4']:
    """Boxes in pixels of an image as shares of it."""
    height, width = image.shape[:2]
    return boxes / np.array([width, height] * 2, np.float32)

"""Region Collaborative Cutout: every region loses the same share of its area.

Plain cutout draws one rectangle per region without looking: where regions
overlap the cuts add up, and some regions all but vanish. Here the regions take
turns from large to small; each first counts what earlier cuts took from it,
restores itself where they took too much, and cuts only what is still missing.

"Mind Your Augmentation: The Key to Decoupling Dense Self-Supervised Learning"
(ICLR 2024), Sec. 4.1.1 and Alg. 2. Paper and official code differ in three
places; each is a switch whose default is the code's side, the only one that
reproduces the paper's Fig. 11:

* ``ratio_rule``: ``'covered'`` (code, and the paper's comment) compares the cut
  share of a region with the ratio; ``'literal'`` (formula of Alg. 2) the share
  that is not cut.
* ``scale_mode``: ``'area'`` (code) gives the cut the missing *area*; ``'side'``
  (Alg. 2) scales both sides by the missing share, its area by the square.
* ``place``: ``'inside'`` (code) keeps the cut within the region; ``'straddle'``
  (Alg. 2) lets it start up to one cut-length before the region.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np

from mmdssl.datasets.transforms.canvas import make_canvas
from mmdssl.datasets.transforms.mask_transform import MaskTransform
from mmdssl.datasets.transforms.random_streams import RandomSource
from mmdssl.registry import TRANSFORMS

__all__ = ['RegionCollaborativeCutout', 'check_choice', 'cut_regions', 'rasterise', 'rcc_mask']


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    """``value`` if it is one of ``choices``, else a ValueError naming them."""
    if value not in choices:
        raise ValueError(f'{name}={value!r} is unknown; choose one of {choices}')
    return value


def rasterise(
    boxes: np.ndarray | Sequence[Sequence[float]],
    height: int,
    width: int,
    scale: tuple[float, float] = (1.0, 1.0),
) -> tuple[list[tuple[int, int, int, int]], list[float]]:
    """The cells that boxes cover, and the areas of the boxes.

    Args:
        boxes: (N, 4) x1 y1 x2 y2, float, in cells or any unit ``scale`` turns
            into cells.
        height: rows of the canvas.
        width: columns of the canvas.
        scale: cells per unit of the boxes (x, y).

    Returns:
        First and last column and row of each box, (left, top, right, bottom)
        with the last two **inclusive**: corners are rounded half to even, and a
        box on the canvas covers at least one cell. And the area of each float
        box after clipping to the canvas; zero or less, and the cells mean
        nothing, for a box without area or off the canvas.
    """
    # Plain Python numbers: for the few boxes of an image several times faster than NumPy's, here
    # and in what is done with them.
    if isinstance(boxes, np.ndarray):
        boxes = boxes.tolist()
    cells, areas = [], []
    last_x, last_y = width - 1, height - 1
    to_x, to_y = scale
    for x1, y1, x2, y2 in boxes:
        x1 = x1 * to_x if x1 > 0.0 else 0.0
        y1 = y1 * to_y if y1 > 0.0 else 0.0
        x2 *= to_x
        y2 *= to_y
        if x2 > width:
            x2 = width
        if y2 > height:
            y2 = height
        areas.append((x2 - x1) * (y2 - y1) if x1 < x2 and y1 < y2 else 0.0)
        left, top, right, bottom = round(x1), round(y1), round(x2), round(y2)
        if right > last_x:
            right = last_x
            if left > right:
                left = right
        if bottom > last_y:
            bottom = last_y
            if top > bottom:
                top = bottom
        cells.append((left, top, right, bottom))
    return cells, areas


def cut_regions(
    boxes: np.ndarray | Sequence[Sequence[float]],
    *,
    ratios: Sequence[float],
    height: int,
    width: int,
    draws: Sequence[float],
    scale: tuple[float, float] = (1.0, 1.0),
    collaborative: bool = True,
    ratio_rule: str = 'covered',
    scale_mode: str = 'area',
    place: str = 'inside',
) -> np.ndarray:
    """Cut one rectangle out of each region.

    Args:
        boxes: (N, 4) x1 y1 x2 y2, float, in cells of the canvas or any unit
            that ``scale`` turns into cells. Boxes are clipped to the canvas;
            those without area are passed over.
        ratios: N shares to cut, in the order of ``boxes``.
        height: rows of the canvas.
        width: columns of the canvas.
        draws: 2 N uniform numbers from [0, 1). They are used up in pairs
            (x, y), one for each cut that is made, from the largest region on.
        scale: cells per unit of the boxes (x, y).
        collaborative: False for plain cutout (Alg. 1): each region is cut as
            if it were alone, and nothing is restored.
        ratio_rule: ``'covered'`` or ``'literal'``, see the module's text.
        scale_mode: ``'area'`` or ``'side'``.
        place: ``'inside'`` or ``'straddle'``.

    Returns:
        bool (height, width), True = cut.
    """
    cells, areas = rasterise(boxes, height, width, scale)
    literal, by_area, inside = ratio_rule == 'literal', scale_mode == 'area', place == 'inside'
    canvas = make_canvas(height, width)
    uniform = iter(draws)
    # By the area of the float box: the area in cells has ties and ranks differently.
    for index in sorted(range(len(areas)), key=areas.__getitem__, reverse=True):
        if areas[index] <= 0.0:
            break
        left, top, right, bottom = cells[index]
        limit_x, limit_y = right + 1, bottom + 1
        box_width, box_height = limit_x - left, limit_y - top

        missing = ratios[index]
        if collaborative:
            taken = canvas.count(left, top, limit_x, limit_y) / (box_width * box_height)
            if literal:
                taken = 1.0 - taken
            if taken > missing:
                canvas.restore(left, top, limit_x, limit_y)
            else:
                missing -= taken
        if missing <= 0.0:
            continue

        # A cut of the box's shape and `missing` of its area has sqrt(missing) of the box's sides.
        shrink = sqrt(missing) if by_area else missing
        cut_width, cut_height = box_width * shrink, box_height * shrink
        # A sliver has no room for a cut of its own shape: cut it all across.
        if by_area and box_width == 1:
            cut_width, cut_height = 1.0, box_height * missing
        elif by_area and box_height == 1:
            cut_width, cut_height = box_width * missing, 1.0

        x, y = next(uniform), next(uniform)
        if inside:
            # The official start is uniform in [left, right - cut_width]. In a box of one or two
            # cells that end may lie before the box; starting there would lose or misplace the cut.
            room_x, room_y = right - cut_width - left, bottom - cut_height - top
            x = left + room_x * x if room_x > 0.0 else left
            y = top + room_y * y if room_y > 0.0 else top
            start_x, start_y = round(x), round(y)
        else:
            x = left - cut_width + (right - left + cut_width) * x
            y = top - cut_height + (bottom - top + cut_height) * y
            start_x = round(x) if x > 0.0 else 0
            start_y = round(y) if y > 0.0 else 0
            limit_x, limit_y = width, height
        end_x, end_y = round(x + cut_width), round(y + cut_height)
        if end_x > limit_x:
            end_x = limit_x
        if end_y > limit_y:
            end_y = limit_y
        if start_x < end_x and start_y < end_y:
            canvas.cut(start_x, start_y, end_x, end_y)
    return canvas.to_array()


def rcc_mask(
    boxes: np.ndarray | Sequence[Sequence[float]],
    *,
    ratio: float,
    height: int,
    width: int,
    scale: tuple[float, float] = (1.0, 1.0),
    rng: RandomSource | None = None,
    draws: Sequence[float] | None = None,
    ratio_rule: str = 'covered',
    scale_mode: str = 'area',
    place: str = 'inside',
) -> np.ndarray:
    """The mask of Region Collaborative Cutout for given regions (Alg. 2).

    Args:
        boxes: (N, 4) x1 y1 x2 y2, float, in cells of the mask or any unit that
            ``scale`` turns into cells; boxes without area or off the mask are
            passed over. Any order.
        ratio: share to cut out of every region, in [0, 1].
        height: rows of the mask.
        width: columns of the mask.
        scale: cells per unit of the boxes (x, y), e.g. 14 / 224 of each.
        rng: where to draw from; None for NumPy's global generator.
        draws: 2 N uniform numbers from [0, 1) to use instead of drawing:
            (x, y) of each cut made, from the largest region to the smallest.
        ratio_rule: ``'covered'`` or ``'literal'``.
        scale_mode: ``'area'`` or ``'side'``.
        place: ``'inside'`` or ``'straddle'``.

    Returns:
        bool (height, width), True = cut.
    """
    if draws is None:
        draws = (np.random if rng is None else rng).random(2 * len(boxes)).tolist()
    return cut_regions(
        boxes,
        ratios=[ratio] * len(boxes),
        height=height,
        width=width,
        draws=draws,
        scale=scale,
        ratio_rule=ratio_rule,
        scale_mode=scale_mode,
        place=place,
    )


@TRANSFORMS.register_module()
class RegionCollaborativeCutout(MaskTransform):
    """Cuts about the same share out of every region (see the module's text).

    Reads ``results[regions_key]`` (float (N, 4), pixels) and writes
    ``results[key]``, bool (h, w), True = cut. All regions of a mask share one
    ratio.

    Args:
        ratio: share to cut, a number or the range to draw it from per mask.
            The paper draws from (0.3, 0.5), the default; the official iBOT-D
            run from (0.2, 0.6) with ``empty_prob=0.5``.
        ratio_rule: ``'covered'`` or ``'literal'``.
        scale_mode: ``'area'`` or ``'side'``.
        place: ``'inside'`` or ``'straddle'``.
        **kwargs: ``empty_prob``, ``mask_size``, ``key``, ``regions_key``,
            ``stream`` of :class:`MaskTransform`.

    Raises:
        ValueError: for settings out of range or an unknown switch value.
    """

    def __init__(
        self,
        *,
        ratio: float | tuple[float, float] = (0.3, 0.5),
        ratio_rule: str = 'covered',
        scale_mode: str = 'area',
        place: str = 'inside',
        **kwargs: Any,
    ) -> None:
        super().__init__(ratio=ratio, **kwargs)
        self.ratio_rule = check_choice('ratio_rule', ratio_rule, ('covered', 'literal'))
        self.scale_mode = check_choice('scale_mode', scale_mode, ('area', 'side'))
        self.place = check_choice('place', place, ('inside', 'straddle'))

    def draw(
        self, results: dict[str, Any], height: int, width: int, rng: RandomSource
    ) -> np.ndarray:
        """One mask of the regions in ``results``."""
        boxes, scale = self.regions_of(results, height, width)
        return rcc_mask(
            boxes,
            ratio=self.draw_ratio(rng),
            height=height,
            width=width,
            scale=scale,
            rng=rng,
            ratio_rule=self.ratio_rule,
            scale_mode=self.scale_mode,
            place=self.place,
        )

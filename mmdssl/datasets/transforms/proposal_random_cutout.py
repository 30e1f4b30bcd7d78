"""Proposal-based random cutout (PRC): cuts that fit the proposals and spare the smaller ones.

D3SSL ("De-coupling and De-positioning Dense Self-supervised Learning"), Sec. 4.1, 1):
proposals take turns from large to small; each loses a rectangle of its own aspect ratio
and of a size drawn from [0.2, 0.5]; where the cuts of larger proposals cover a smaller
one by more than a threshold, it is given back. What the paper leaves open, and the side
taken here:

* "size" (``scale_mode``): ``'area'``, the share of the proposal's area, as its successor
  RCC has it in code; ``'side'``, the share of each side.
* the threshold: the share drawn for the smaller proposal itself, as in RCC; or one number.
* what a proposal still loses when larger cuts already took a tolerable share from it
  (``own_cut``): ``'missing'``, the rest of what was drawn for it, as in RCC, so that the
  share is met, not doubled; ``'full'``, a rectangle of the whole drawn size all the same.

What is guaranteed, exactly and in whole pixels of the mask (a proposal is the range of
:func:`box_cells`, "larger" is by its number of pixels, of equal ones the first):

1. Cuts made for larger proposals never take more than the threshold of a proposal, in
   the final mask: it is checked at the proposal's turn, no larger one cuts after that, and
   giving back can only lower it.
2. With ``own_cut='missing'``, a proposal has lost no more than the larger of its threshold
   and its drawn share when its turn ends. That is final for every proposal that no smaller
   one overlaps, the smallest above all.

A large proposal may lose more in the end, to the cuts of smaller ones inside it; the
paper protects the smaller ones only.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np

from mmdssl.datasets.transforms.canvas import make_canvas
from mmdssl.datasets.transforms.erase import Cells, RegionErase, box_cells
from mmdssl.datasets.transforms.mask_transform import parse_range
from mmdssl.datasets.transforms.random_streams import RandomSource
from mmdssl.datasets.transforms.region_collaborative_cutout import check_choice
from mmdssl.registry import TRANSFORMS

__all__ = ['ProposalRandomCutout', 'cut_size', 'prc_mask']


def cut_size(width: int, height: int, share: float) -> tuple[int, int]:
    """A rectangle of the box's shape and ``share`` of its area, rounded, never above that area.

    Args:
        width: of the box, cells.
        height: of the box, cells.
        share: of the box's area, in [0, 1].

    Returns:
        (width, height) in cells; (0, 0) where not even one cell is allowed.
    """
    # The small excess keeps whole numbers whole: 0.3 * 10 is a trifle below 3.
    limit = int(share * width * height + 1e-6)
    if limit < 1:
        return 0, 0
    # A sliver has no room for its own shape in whole cells: at least one cell across.
    cut_width = min(max(round(width * sqrt(share)), 1), width, limit)
    cut_height = min(max(round(height * sqrt(share)), 1), height, limit // cut_width)
    return cut_width, cut_height


def prc_mask(
    cells: Sequence[Cells],
    *,
    shares: Sequence[float],
    height: int,
    width: int,
    draws: Sequence[float],
    threshold: float | None = None,
    own_cut: str = 'missing',
) -> np.ndarray:
    """The cuts of PRC for given proposals (see the module's text).

    Args:
        cells: N proposals, half-open cell ranges on the mask; empty ones are passed over.
        shares: N shares of the area to cut, in the order of ``cells``.
        height: rows of the mask.
        width: columns of the mask.
        draws: 2 N uniform numbers from [0, 1): place (x, y) of each proposal's cut.
        threshold: share of a proposal that cuts of larger ones may take; None for its own
            entry of ``shares``.
        own_cut: ``'missing'`` or ``'full'``.

    Returns:
        bool (height, width), True = cut.
    """
    canvas = make_canvas(height, width)
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in cells]
    for index in sorted(range(len(cells)), key=areas.__getitem__, reverse=True):
        if areas[index] == 0:
            break
        left, top, right, bottom = cells[index]
        share = shares[index]
        limit = share if threshold is None else threshold
        taken = canvas.count(left, top, right, bottom) / areas[index]
        if taken > limit:
            canvas.restore(left, top, right, bottom)
            taken = 0.0
        if own_cut == 'missing':
            share -= taken
        cut_width, cut_height = cut_size(right - left, bottom - top, share)
        if cut_width == 0:
            continue
        start_x = left + int(draws[2 * index] * (right - left - cut_width + 1))
        start_y = top + int(draws[2 * index + 1] * (bottom - top - cut_height + 1))
        canvas.cut(start_x, start_y, start_x + cut_width, start_y + cut_height)
    return canvas.to_array()


@TRANSFORMS.register_module()
class ProposalRandomCutout(RegionErase):
    """PRC as an erase mask: reads ``results['boxes']``, adds to ``results['erase']``.

    Args:
        ratio: size of a cut, a number or the range each proposal draws its own from.
        scale_mode: ``'area'`` or ``'side'``: what ``ratio`` is a share of.
        threshold: share of its area that a proposal may lose to larger ones, in [0, 1];
            None for the share drawn for itself.
        own_cut: ``'missing'`` or ``'full'``, see the module's text.
        **kwargs: ``key``, ``regions_key``, ``mask_size``, ``empty_prob``, ``stream`` of
            :class:`RegionErase`. ``empty_prob=1`` gives the empty mask that a view needs
            whose partner is erased.

    Raises:
        ValueError: for settings out of range or an unknown switch value.
    """

    def __init__(
        self,
        *,
        ratio: float | tuple[float, float] = (0.2, 0.5),
        scale_mode: str = 'area',
        threshold: float | None = None,
        own_cut: str = 'missing',
        **kwargs: Any,
    ) -> None:
        super().__init__(ratio=ratio, **kwargs)
        self.scale_mode = check_choice('scale_mode', scale_mode, ('area', 'side'))
        self.own_cut = check_choice('own_cut', own_cut, ('missing', 'full'))
        self.threshold = threshold
        if threshold is not None:
            self.threshold = parse_range(threshold, 'ProposalRandomCutout: threshold')[0]

    def draw(
        self, results: dict[str, Any], height: int, width: int, rng: RandomSource
    ) -> np.ndarray:
        """One mask of the boxes in ``results``."""
        boxes, scale = self.regions_of(results, height, width)
        return self.cut(box_cells(boxes, height, width, scale=scale), height, width, rng)

    def cut(self, cells: Sequence[Cells], height: int, width: int, rng: RandomSource) -> np.ndarray:
        """One mask of proposals given as cell ranges: bool (height, width), True = cut."""
        low, high = self.ratio
        shares = (low + (high - low) * rng.random(len(cells))).tolist()
        if self.scale_mode == 'side':
            shares = [share * share for share in shares]
        return prc_mask(
            cells,
            shares=shares,
            height=height,
            width=width,
            draws=rng.random(2 * len(cells)).tolist(),
            threshold=self.threshold,
            own_cut=self.own_cut,
        )

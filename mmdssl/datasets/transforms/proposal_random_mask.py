"""Proposal-based random mask (PRM): a proposal is seen with some of its surroundings only.

D3SSL, Sec. 4.1, 2): "randomly add partial background information from different
directions of the proposal region", with rectangles whose scale and aspect ratio are drawn
from [0.2, 0.6] and [3/4, 4/3]. The wording allows two readings (``prm_mode``):

* ``'reveal'``, taken here: everything outside the proposals is hidden, except one
  rectangle a proposal.
* ``'hide'``: everything is seen, except one rectangle a proposal of its surroundings.

In both, the rectangle has ``scale`` times the proposal's area and is centred on a random
point of the proposal's border, so that it reaches out into one direction. The inside of
proposals is never touched: that is PRC's part.
"""

from typing import Any

import numpy as np

from mmdssl.datasets.transforms.erase import RegionErase, box_cells
from mmdssl.datasets.transforms.mask_transform import parse_range
from mmdssl.datasets.transforms.random_streams import RandomSource
from mmdssl.datasets.transforms.region_collaborative_cutout import check_choice
from mmdssl.registry import TRANSFORMS

__all__ = ['ProposalRandomMask', 'border_rectangles']


def border_rectangles(
    boxes: np.ndarray, *, areas: np.ndarray, aspects: np.ndarray, places: np.ndarray
) -> np.ndarray:
    """Rectangles centred on the borders of boxes.

    Args:
        boxes: (N, 4) x1 y1 x2 y2.
        areas: (N,) area of each rectangle as a multiple of its box's area.
        aspects: (N,) width / height of each rectangle.
        places: (N,) where on the border, as a share in [0, 1) of its length, clockwise
            from the upper left corner.

    Returns:
        float64 (N, 4), x1 y1 x2 y2; may reach beyond the image.
    """
    x1, y1, x2, y2 = np.asarray(boxes, np.float64).T
    width, height = x2 - x1, y2 - y1
    along = places * 2 * (width + height)
    # Clip each leg of the walk round the box to its side: to the right, down, left, up.
    right = np.clip(along, 0, width)
    down = np.clip(along - width, 0, height)
    left = np.clip(along - width - height, 0, width)
    up = np.clip(along - 2 * width - height, 0, height)
    x, y = x1 + right - left, y1 + down - up
    half_width = np.sqrt(areas * width * height * aspects) / 2
    half_height = np.sqrt(areas * width * height / aspects) / 2
    return np.stack([x - half_width, y - half_height, x + half_width, y + half_height], axis=1)


@TRANSFORMS.register_module()
class ProposalRandomMask(RegionErase):
    """PRM as an erase mask: reads ``results['boxes']``, adds to ``results['erase']``.

    Args:
        scale: area of a rectangle as a multiple of its proposal's, a number or the range
            to draw it from.
        aspect: width / height of a rectangle, uniform in this range.
        prm_mode: ``'reveal'`` or ``'hide'``, see the module's text.
        **kwargs: ``key``, ``regions_key``, ``mask_size``, ``empty_prob``, ``stream`` of
            :class:`RegionErase`.

    Raises:
        ValueError: for settings out of range or an unknown mode.
    """

    def __init__(
        self,
        *,
        scale: float | tuple[float, float] = (0.2, 0.6),
        aspect: tuple[float, float] = (3 / 4, 4 / 3),
        prm_mode: str = 'reveal',
        **kwargs: Any,
    ) -> None:
        super().__init__(ratio=scale, **kwargs)
        self.aspect = parse_range(aspect, 'ProposalRandomMask: aspect', 1e-3, 1e3)
        self.prm_mode = check_choice('prm_mode', prm_mode, ('reveal', 'hide'))

    def draw(
        self, results: dict[str, Any], height: int, width: int, rng: RandomSource
    ) -> np.ndarray:
        """One mask of the boxes in ``results``."""
        boxes, scale = self.regions_of(results, height, width)
        draws = rng.random((3, len(boxes)))
        # In cells, so that the aspect ratio is that of the pixels seen.
        rectangles = border_rectangles(
            boxes * np.array(scale * 2),
            areas=self.ratio[0] + (self.ratio[1] - self.ratio[0]) * draws[0],
            aspects=self.aspect[0] + (self.aspect[1] - self.aspect[0]) * draws[1],
            places=draws[2],
        )
        proposals = box_cells(boxes, height, width, scale=scale)
        surroundings = box_cells(rectangles, height, width)
        reveal = self.prm_mode == 'reveal'
        mask = np.full((height, width), reveal)
        for left, top, right, bottom in surroundings:
            mask[top:bottom, left:right] = not reveal
        for left, top, right, bottom in proposals:
            mask[top:bottom, left:right] = False
        return mask

"""SoCo's cutout: a square out of each box, whatever the other boxes lose.

SoCo (NeurIPS 2021) cuts in its second view only and after normalisation, so the
mask travels with the batch and the data preprocessor sets the pixels to 0.
"""

from math import sqrt
from typing import Any

import numpy as np

from mmdssl.datasets.transforms.mask_transform import MaskTransform, parse_range
from mmdssl.datasets.transforms.random_streams import RandomSource
from mmdssl.registry import TRANSFORMS

__all__ = ['SquareCutout', 'cut_squares', 'square_in_box']


def square_in_box(
    box: tuple[int, int, int, int], *, ratio: float, centre: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The square that is cut for given draws.

    Args:
        box: x1 y1 x2 y2, whole pixels, inclusive corners.
        ratio: area of the square as a share of the box's.
        centre: (x, y) of the square, whole pixels.

    Returns:
        x1 y1 x2 y2 of the square, **inclusive** corners, ``side // 2`` pixels to
        each side of the centre; it may lie partly outside the image.
    """
    x1, y1, x2, y2 = box
    half = round(sqrt(ratio * (x2 - x1 + 1) * (y2 - y1 + 1))) // 2
    x, y = centre
    return x - half, y - half, x + half, y + half


def cut_squares(squares: list[tuple[int, int, int, int]], *, height: int, width: int) -> np.ndarray:
    """A mask of squares, bool (height, width); inclusive corners, cut off at the borders."""
    mask = np.zeros((height, width), bool)
    for x1, y1, x2, y2 in squares:  # slices of a handful of boxes: faster than whole-mask algebra
        mask[max(y1, 0) : max(y2 + 1, 0), max(x1, 0) : max(x2 + 1, 0)] = True
    return mask


@TRANSFORMS.register_module()
class SquareCutout(MaskTransform):
    """Cuts one square out of each box, with a probability (SoCo, NeurIPS 2021).

    Per box, independently: a square whose area is a random share of the box's,
    its centre uniform over the box, clipped to the image. Boxes are taken in
    whole pixels, corners truncated. Repeated boxes are cut each on their own, as
    in the published code.

    Args:
        ratio: range of the square's area as a share of the box's.
        prob: probability in [0, 1] that a box is cut.
        key: key of the view the mask is written to, bool (H, W), True = cut.
        regions_key: key of the boxes, float (K, 4), x1 y1 x2 y2 in pixels of the
            view.
        **kwargs: ``empty_prob``, ``stream`` of :class:`MaskTransform`; a
            ``mask_size`` gives the mask on a coarser grid, squares in its cells.
    """

    def __init__(
        self,
        *,
        ratio: float | tuple[float, float] = (0.1, 0.3),
        prob: float = 0.5,
        key: str = 'erase',
        regions_key: str = 'boxes',
        **kwargs: Any,
    ) -> None:
        super().__init__(ratio=ratio, key=key, regions_key=regions_key, **kwargs)
        self.prob = parse_range(prob, 'SquareCutout: prob')[0]

    def draw(
        self, results: dict[str, Any], height: int, width: int, rng: RandomSource
    ) -> np.ndarray:
        """One mask of the boxes in ``results``."""
        boxes, scale = self.regions_of(results, height, width)
        boxes = boxes[:, :4] * np.array(scale * 2)
        draws = rng.random((len(boxes), 4))
        low, high = self.ratio
        cut = draws[:, 0] < self.prob
        corners = boxes[cut].astype(np.int64)
        ratios = low + (high - low) * draws[cut, 1]
        # A whole pixel of the box, both corners included.
        centres = corners[:, :2] + draws[cut, 2:] * (corners[:, 2:] - corners[:, :2] + 1)
        squares = [
            square_in_box(tuple(box), ratio=ratio, centre=(int(x), int(y)))
            for box, ratio, (x, y) in zip(
                corners.tolist(), ratios.tolist(), centres.tolist(), strict=True
            )
        ]
        return cut_squares(squares, height=height, width=width)

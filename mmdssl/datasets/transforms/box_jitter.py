"""Box jitter: the boxes of a view no longer frame their objects exactly (SoCo's FPN variant)."""

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmdssl.datasets.transforms.boxes import box_area, clip_boxes
from mmdssl.datasets.transforms.mask_transform import parse_range
from mmdssl.datasets.transforms.random_streams import random_source
from mmdssl.registry import TRANSFORMS

__all__ = ['BoxJitter', 'jitter_boxes']


def jitter_boxes(boxes: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Shift and stretch boxes by shares of their own size.

    Args:
        boxes: (N, 4) x1 y1 x2 y2, inclusive corners: the width is ``x2 - x1 + 1``.
        draws: (N, 4): shifts of the left and upper edge, changes of width and
            height, as shares of width and height.

    Returns:
        float64 (N, 4), x1 y1 x2 y2, not clipped.
    """
    start = np.asarray(boxes[:, :2], np.float64)
    size = boxes[:, 2:] - start + 1
    moved = start + draws[:, :2] * size
    return np.concatenate([moved, moved + size * (1 + draws[:, 2:]) - 1], axis=1)


@TRANSFORMS.register_module()
class BoxJitter(BaseTransform):
    """Shifts and stretches each box of a view with a probability (SoCo, NeurIPS 2021, FPN).

    The left and upper edges move by U(-ratio, ratio) of the box's size, width
    and height change by factors 1 + U(-ratio, ratio); the result is clipped to
    the image. Meant for ``finish`` of view 1 of :class:`CommonBoxViews`: SoCo's
    C4 variant has a jitter ratio, too, but never uses it. Each row is jittered on
    its own, also where rows repeat a box.

    Args:
        prob: probability in [0, 1] that a box is jittered.
        ratio: largest shift and change of size, as a share, in [0, 1).
        key: key of the boxes, float (N, 4), x1 y1 x2 y2 in pixels of the image.
        stream: name of an own random stream; None for the global one.

    Raises:
        ValueError: for settings out of range, or (in use) if there are no boxes.
    """

    def __init__(
        self,
        *,
        prob: float = 0.5,
        ratio: float = 0.1,
        key: str = 'boxes',
        stream: str | None = None,
    ) -> None:
        self.prob = parse_range(prob, 'BoxJitter: prob')[0]
        self.ratio = parse_range(ratio, 'BoxJitter: ratio', 0.0, 0.99)[0]
        self.key = key
        self.stream = stream

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replaces ``results[key]``, float32 (N, 4)."""
        if self.key not in results:
            raise ValueError(
                f'BoxJitter found no results[{self.key!r}]: put it in finish of CommonBoxViews'
            )
        boxes = np.asarray(results[self.key], np.float32)
        rng = random_source(self.stream)
        picked = rng.random(len(boxes)) < self.prob
        draws = (2 * rng.random((len(boxes), 4)) - 1) * self.ratio
        moved = clip_boxes(jitter_boxes(boxes, draws), *results['img'].shape[:2])
        # A sliver at the border may leave the image; it stays where it was.
        picked &= box_area(moved) > 0
        results[self.key] = np.where(picked[:, None], moved, boxes).astype(np.float32)
        return results

    def __repr__(self) -> str:
        return (
            f'BoxJitter(prob={self.prob}, ratio={self.ratio}, key={self.key!r}, '
            f'stream={self.stream!r})'
        )

"""Restricted box jitter (RBJ): boxes wobble, but never grow beyond the original.

D3SSL, Sec. 4.1, 3): selective search gives boxes that are rather too wide than too
narrow, so "the augmented boxes should not be larger than the original ones". Width and
height shrink by factors of their own from U(1 - d, 1), and the box moves only as far as
it stays inside the original. d is not stated; 0.1, SoCo's jitter ratio, is taken.
"""

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmdssl.datasets.transforms.mask_transform import parse_range
from mmdssl.datasets.transforms.random_streams import random_source
from mmdssl.registry import TRANSFORMS

__all__ = ['RestrictedBoxJitter', 'jitter_inside']


def jitter_inside(boxes: np.ndarray, *, ratio: float, draws: np.ndarray) -> np.ndarray:
    """Boxes inside boxes.

    Args:
        boxes: (N, 4) x1 y1 x2 y2, float32.
        ratio: largest share d of a side that is lost, in [0, 1).
        draws: (N, 4) uniform numbers from [0, 1): shrinking of width and height, place of
            the smaller box along x and y.

    Returns:
        float32 (N, 4), each within its original, bit for bit.
    """
    corner, size = boxes[:, :2].astype(np.float64), boxes[:, 2:].astype(np.float64) - boxes[:, :2]
    lost = size * ratio * draws[:, :2]
    low = corner + lost * draws[:, 2:]
    moved = np.concatenate([low, low + size - lost], axis=1).astype(np.float32)
    # Rounding to float32 may step over the border by one unit in the last place.
    return np.clip(moved, np.tile(boxes[:, :2], 2), np.tile(boxes[:, 2:], 2))


@TRANSFORMS.register_module()
class RestrictedBoxJitter(BaseTransform):
    """RBJ on the boxes of a view; put it before what is drawn from the boxes.

    Each box of each view draws for itself.

    Args:
        ratio: d, the largest share of a side that is lost, in [0, 1).
        prob: probability that a box is jittered.
        key: key of ``results`` with the boxes, float32 (N, 4), x1 y1 x2 y2 in pixels.
        stream: name of an own random stream; None for the global one.

    Raises:
        ValueError: for settings out of range, or (when used) without boxes.
    """

    def __init__(
        self,
        *,
        ratio: float = 0.1,
        prob: float = 1.0,
        key: str = 'boxes',
        stream: str | None = None,
    ) -> None:
        if not 0 <= ratio < 1:
            raise ValueError(f'RestrictedBoxJitter: ratio is {ratio}, give at least 0 and below 1')
        self.ratio = ratio
        self.prob = parse_range(prob, 'RestrictedBoxJitter: prob')[0]
        self.key = key
        self.stream = stream

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replaces ``results[key]``."""
        if self.key not in results:
            raise ValueError(
                f'RestrictedBoxJitter found no results[{self.key!r}]: put it into a view of '
                'CommonBoxViews'
            )
        boxes = np.asarray(results[self.key], np.float32).reshape(-1, 4)
        rng = random_source(self.stream)
        jittered = jitter_inside(boxes, ratio=self.ratio, draws=rng.random((len(boxes), 4)))
        if self.prob < 1:
            chosen = rng.random(len(boxes)) < self.prob
            jittered = np.where(chosen[:, None], jittered, boxes)
        results[self.key] = jittered
        return results

    def __repr__(self) -> str:
        return (
            f'RestrictedBoxJitter(ratio={self.ratio}, prob={self.prob}, key={self.key!r}, '
            f'stream={self.stream!r})'
        )

"""Which boxes of a search become proposals: SoCo's rule ``ratio3size0308``, its numbers named.

A picture whose boxes all fail is not lost: the rule is eased step by step, and in the end the whole
picture is its only proposal ("SoCo" (NeurIPS 2021), official code). A search gives the same box
again and again while small regions inside it are merged, and SoCo draws from that list: a box that
stands in it ten times is drawn ten times as often.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

__all__ = ['ProposalFilter', 'Rule', 'counted_boxes', 'whole_image']


class Rule(IntEnum):
    """Which rule gave the proposals of a picture, the strictest first."""

    FULL = 0
    WITHOUT_SIZE = 1
    MIN_SIDE = 2
    WHOLE_IMAGE = 3


@dataclass(frozen=True, kw_only=True)
class ProposalFilter:
    """SoCo's rule; the defaults are its ``ratio3size0308``.

    Attributes:
        min_side: Least width and height of a box in pixels.
        max_aspect: Largest ratio of the longer to the shorter side.
        size: Range of sqrt(w h) / sqrt(W H), both ends included, for a box w x h of a picture
            W x H.

    Raises:
        ValueError: A number makes no sense.
    """

    min_side: float = 32
    max_aspect: float = 3
    size: tuple[float, float] = (0.3, 0.8)

    def __post_init__(self) -> None:
        if self.min_side < 1:
            raise ValueError(f'min_side must be at least 1 pixel, got {self.min_side}')
        if self.max_aspect < 1:
            raise ValueError(f'max_aspect must be at least 1 (squares), got {self.max_aspect}')
        low, high = self.size
        if not 0 <= low < high <= 1:
            raise ValueError(f'size must be a range within 0..1, got ({low}, {high})')

    def passing(
        self, boxes: npt.NDArray, height: int, width: int, rule: Rule = Rule.FULL
    ) -> npt.NDArray[np.bool_]:
        """Which boxes pass one rule.

        Args:
            boxes: (N, 4) x, y, w, h in pixels.
            height: Of the picture, in pixels.
            width: Of the picture.
            rule: FULL, WITHOUT_SIZE (sides and aspect ratio), MIN_SIDE (sides only) or
                WHOLE_IMAGE (no box passes).

        Returns:
            (N,) bool.
        """
        w, h = boxes[:, 2].astype(np.float64), boxes[:, 3].astype(np.float64)
        passing: npt.NDArray[np.bool_] = (w >= self.min_side) & (h >= self.min_side)
        if rule == Rule.WHOLE_IMAGE:
            return np.zeros_like(passing)
        if rule <= Rule.WITHOUT_SIZE:
            # Sides of at least min_side: the quotient below is safe where it matters.
            aspect = w / np.maximum(h, 1)
            passing &= (aspect <= self.max_aspect) & (aspect >= 1 / self.max_aspect)
        if rule <= Rule.FULL:
            share = np.sqrt(w * h) / np.sqrt(width * height)
            passing &= (share >= self.size[0]) & (share <= self.size[1])
        return passing

    def apply(self, boxes: npt.NDArray, height: int, width: int) -> tuple[npt.NDArray, Rule]:
        """The proposals of a picture: the boxes that pass the strictest rule that leaves any.

        Args:
            boxes: (N, 4) x, y, w, h in pixels.
            height: Of the picture, in pixels.
            width: Of the picture.

        Returns:
            (M, 4) of the boxes' type, every row that passes, repeated or not, in the order of
            ``boxes``; and the rule. Under WHOLE_IMAGE there are none, M = 0;
            `whole_image` is what stands for them.
        """
        for rule in (Rule.FULL, Rule.WITHOUT_SIZE, Rule.MIN_SIDE):
            passing = self.passing(boxes, height, width, rule)
            if passing.any():
                return boxes[passing], rule
        return boxes[:0], Rule.WHOLE_IMAGE


def counted_boxes(boxes: npt.NDArray) -> tuple[npt.NDArray, npt.NDArray[np.int64]]:
    """Boxes without repetitions, and how often each occurs.

    Args:
        boxes: (N, 4).

    Returns:
        (M, 4), each box at the place of its first occurrence, and (M,) int64 that add up to N.
    """
    if not len(boxes):
        return boxes, np.zeros(0, np.int64)
    _, first, counts = np.unique(boxes, axis=0, return_index=True, return_counts=True)
    order = np.argsort(first)
    return boxes[first[order]], counts[order]


def whole_image(height: int, width: int) -> npt.NDArray[np.int32]:
    """The picture as its own proposal: (1, 4) x, y, w, h = 0, 0, width, height."""
    return np.array([[0, 0, width, height]], np.int32)

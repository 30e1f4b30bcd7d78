"""Regions without proposals: one random box for each cell of a grid.

The boxes overlap heavily and together cover nearly the whole image, which is
what Region Collaborative Cutout needs to cut everywhere and evenly.
"""

import math
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmdssl.datasets.transforms.mask_transform import parse_range, parse_size
from mmdssl.datasets.transforms.streams import random_source
from mmdssl.registry import TRANSFORMS

__all__ = ['GridRegions']


@TRANSFORMS.register_module()
class GridRegions(BaseTransform):
    """One random box per cell of a grid (official code of "Mind Your Augmentation", ICLR 2024).

    For each cell, in row-major order: area uniform in ``scale`` as a share of
    the **whole** image; aspect ratio w/h (of sides measured as shares of the
    image) log-uniform in ``aspect``; centre uniform in the middle half of the
    cell; the box is clipped to the image.

    Writes ``results[key]``: float32 (rows * columns, 4), x1 y1 x2 y2 in pixels
    of ``results['img']``.

    Args:
        grid: cells, ``n`` for n x n or (rows, columns).
        scale: range of a box's area before clipping, as a share of the image.
            The paper prints (0.15, 4), whose upper end is impossible; the
            default is the official code's.
        aspect: range of the aspect ratio w/h.
        key: key of ``results`` to write.
        stream: name of an own random stream; None for the global one.

    Raises:
        ValueError: for settings out of range.
    """

    def __init__(
        self,
        *,
        grid: int | tuple[int, int] = 3,
        scale: tuple[float, float] = (0.12, 0.30),
        aspect: tuple[float, float] = (0.5, 2.0),
        key: str = 'regions',
        stream: str | None = None,
    ) -> None:
        rows, columns = parse_size(grid, 'GridRegions: grid')
        self.grid = (rows, columns)
        self.scale = parse_range(scale, 'GridRegions: scale')
        self.aspect = parse_range(aspect, 'GridRegions: aspect', 1e-3, 1e3)
        self.key = key
        self.stream = stream
        # A box takes four uniform draws u; low + span * u are then a quarter of its area, half
        # the logarithm of its aspect ratio, and its centre. (cells, 4)
        count = rows * columns
        row, column = np.divmod(np.arange(count), columns)
        self._low = np.empty((count, 4))
        self._low[:, 0] = self.scale[0] / 4
        self._low[:, 1] = math.log(self.aspect[0]) / 2
        self._low[:, 2] = (column + 0.25) / columns
        self._low[:, 3] = (row + 0.25) / rows
        self._span = np.empty((count, 4))
        self._span[:, 0] = (self.scale[1] - self.scale[0]) / 4
        self._span[:, 1] = math.log(self.aspect[1] / self.aspect[0]) / 2
        self._span[:, 2] = 0.5 / columns
        self._span[:, 3] = 0.5 / rows

    def boxes_from(self, uniforms: np.ndarray) -> np.ndarray:
        """Boxes of given draws.

        Args:
            uniforms: (rows * columns, 4) in [0, 1): area, aspect, centre x,
                centre y of each cell.

        Returns:
            float64 (rows * columns, 4), x1 y1 x2 y2 as shares of the image in [0, 1].
        """
        values = uniforms * self._span
        values += self._low
        half_side = np.sqrt(values[:, 0])  # of the square of the same area
        stretch = np.exp(values[:, 1])
        half = np.empty((len(values), 2))  # of the width and of the height
        np.multiply(half_side, stretch, out=half[:, 0])
        np.divide(half_side, stretch, out=half[:, 1])
        boxes = np.empty((len(values), 4))
        np.subtract(values[:, 2:], half, out=boxes[:, :2])
        np.add(values[:, 2:], half, out=boxes[:, 2:])
        return np.minimum(np.maximum(boxes, 0.0, out=boxes), 1.0, out=boxes)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Writes ``results[key]``."""
        height, width = results['img'].shape[:2]
        uniforms = random_source(self.stream).random((len(self._low), 4))
        boxes = self.boxes_from(uniforms)
        boxes *= np.array((width, height, width, height))
        results[self.key] = boxes.astype(np.float32)
        return results

    def __repr__(self) -> str:
        return (
            f'GridRegions(grid={self.grid}, scale={self.scale}, aspect={self.aspect}, '
            f'key={self.key!r}, stream={self.stream!r})'
        )

"""Regions without proposals: one random box for each cell of a grid.

The boxes overlap heavily and together cover nearly the whole image, which is
what Region Collaborative Cutout needs to cut everywhere and evenly.
"""

from collections.abc import Sequence
from math import exp, log, sqrt
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmdssl.datasets.transforms.mask_transform import parse_range, parse_size
from mmdssl.datasets.transforms.random_streams import random_source
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
        # A uniform draw u gives low + span * u: a quarter of the area, half the logarithm of the
        # aspect ratio, the centre; the centre's low is the cell's own.
        self._area = self.scale[0] / 4, (self.scale[1] - self.scale[0]) / 4
        self._log_aspect = log(self.aspect[0]) / 2, log(self.aspect[1] / self.aspect[0]) / 2
        self._corners = [
            ((column + 0.25) / columns, (row + 0.25) / rows)
            for row in range(rows)
            for column in range(columns)
        ]

    def boxes_from(
        self, uniforms: Sequence[float], *, height: float = 1.0, width: float = 1.0
    ) -> np.ndarray:
        """Boxes of given draws.

        Args:
            uniforms: 4 * rows * columns numbers from [0, 1): area, aspect,
                centre x, centre y of each cell in turn.
            height: of the image, in the unit the boxes are wanted in.
            width: of the image.

        Returns:
            float64 (rows * columns, 4), x1 y1 x2 y2.
        """
        # Plain Python numbers: for a handful of cells much faster than array operations.
        (area, area_span), (log_aspect, log_span) = self._area, self._log_aspect
        rows, columns = self.grid
        x_span, y_span = 0.5 / columns, 0.5 / rows
        draws = iter(uniforms)
        flat: list[float] = []
        for x, y in self._corners:
            half_side = sqrt(area + area_span * next(draws))  # of the square of that area
            stretch = exp(log_aspect + log_span * next(draws))
            half_width, half_height = half_side * stretch, half_side / stretch
            x += x_span * next(draws)
            y += y_span * next(draws)
            x1, y1, x2, y2 = x - half_width, y - half_height, x + half_width, y + half_height
            flat += (
                x1 * width if x1 > 0.0 else 0.0,
                y1 * height if y1 > 0.0 else 0.0,
                x2 * width if x2 < 1.0 else width,
                y2 * height if y2 < 1.0 else height,
            )
        return np.array(flat).reshape(-1, 4)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Writes ``results[key]``."""
        height, width = results['img'].shape[:2]
        uniforms = random_source(self.stream).random(4 * len(self._corners)).tolist()
        boxes = self.boxes_from(uniforms, height=height, width=width)
        results[self.key] = boxes.astype(np.float32)
        return results

    def __repr__(self) -> str:
        return (
            f'GridRegions(grid={self.grid}, scale={self.scale}, aspect={self.aspect}, '
            f'key={self.key!r}, stream={self.stream!r})'
        )

"""Points of one part of an image, seen in two views: PLRC (CVPR 2022).

The image is cut into grid x grid parts, numbered from 1 row by row. A view's map of m x m cells
says of each cell which part its centre lies in; points are cells (row, column) of that map.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from mmcv.transforms import BaseTransform

from mmdssl.datasets.transforms.random_streams import RandomSource, random_source
from mmdssl.datasets.transforms.region_collaborative_cutout import check_choice
from mmdssl.registry import TRANSFORMS

__all__ = ['RegionPoints', 'region_map']


@TRANSFORMS.register_module()
class RegionPoints(BaseTransform):
    """Draws a part that two views have in common, and points of it in each of them.

    Each of the two views gets ``points``, int64 (1 + num_other_regions, num_points, 2), row and
    column on its map: with replacement, first of the common part, then of other parts of this view.
    Views without a part in common draw one each.

    Args:
        views: Indices of the two views.
        grid: Parts per side of the image.
        map_size: m, cells per side of a view's map.
        num_points: Points a part.
        num_other_regions: Further parts of each view, drawn with replacement (the release draws 15
            and uses none).
        map_flip: ``'view'``: the map is mirrored as the view is. ``'own'``: by coins of its own,
            each with 0.25 (the release).
        stream: Name of an own random stream; None for the global one.

    Raises:
        ValueError: For numbers below 1.
    """

    def __init__(
        self,
        *,
        views: Sequence[int] = (0, 1),
        grid: int = 4,
        map_size: int = 56,
        num_points: int = 32,
        num_other_regions: int = 0,
        map_flip: Literal['view', 'own'] = 'view',
        stream: str | None = None,
    ) -> None:
        if min(grid, map_size, num_points) < 1 or num_other_regions < 0:
            raise ValueError(
                f'RegionPoints: grid={grid}, map_size={map_size} and num_points={num_points} are '
                f'at least 1, num_other_regions={num_other_regions} at least 0'
            )
        first, second = views
        self.views = (first, second)
        self.grid = grid
        self.map_size = map_size
        self.num_points = num_points
        self.num_other_regions = num_other_regions
        self.map_flip = check_choice('map_flip', map_flip, ('view', 'own'))
        self.stream = stream

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds ``points`` to two views."""
        rng = random_source(self.stream)
        size = results['img'].shape[:2]
        views = [results['views'][index] for index in self.views]
        maps = []
        for view in views:
            flip = view.get('flip', (False, False))
            if self.map_flip == 'own':
                flip = (bool(rng.random() < 0.25), False)
            maps.append(
                region_map(view['crop_box'], flip, size, grid=self.grid, cells=self.map_size)
            )
        common = np.intersect1d(maps[0], maps[1])
        chosen = _pick(rng, common) if len(common) else None
        for view, labels in zip(views, maps, strict=True):
            there = np.unique(labels)
            own = _pick(rng, there) if chosen is None else chosen
            others = there[there != own] if len(there) > 1 else there
            drawn = [own, *(_pick(rng, others) for _ in range(self.num_other_regions))]
            view['points'] = np.stack([self._points(rng, labels, label) for label in drawn])
        return results

    def _points(self, rng: RandomSource, labels: np.ndarray, label: int) -> np.ndarray:
        """Cells of a part, (num_points, 2) int64."""
        cells = np.argwhere(labels == label)
        return cells[(rng.random(self.num_points) * len(cells)).astype(np.int64)]

    def __repr__(self) -> str:
        settings = ', '.join(f'{name}={value!r}' for name, value in vars(self).items())
        return f'RegionPoints({settings})'


def _pick(rng: RandomSource, labels: np.ndarray) -> int:
    return int(labels[int(rng.random() * len(labels))])


def region_map(
    crop_box: Sequence[float],
    flip: tuple[bool, bool],
    size: tuple[int, int],
    *,
    grid: int = 4,
    cells: int = 56,
) -> np.ndarray:
    """Which part of the image the centre of each cell of a view lies in.

    Args:
        crop_box: x1 y1 x2 y2 of the view in pixels of the image.
        flip: Whether the view is mirrored horizontally and vertically.
        size: (height, width) of the image.
        grid: Parts per side.
        cells: Cells per side of the view.

    Returns:
        int64 (cells, cells), 1 to grid * grid.
    """
    x1, y1, x2, y2 = crop_box
    share = (np.arange(cells) + 0.5) / cells
    parts = []
    for near, far, length, mirrored in ((y1, y2, size[0], flip[1]), (x1, x2, size[1], flip[0])):
        part = np.floor((near + share * (far - near)) * grid / length).astype(np.int64)
        part = part.clip(0, grid - 1)
        parts.append(part[::-1] if mirrored else part)
    rows, columns = parts
    return rows[:, None] * grid + columns + 1

"""Crops of one image that overlap every global crop, and where they do (Leopart, CVPR 2022).

A global and any other crop are compared where both show the same part of the image. So a crop
that shares too little with an earlier global crop is drawn again, before a single pixel is
touched, and each overlap is kept as a box in pixels of both crops.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmdssl.datasets.pipeline import build_pipeline
from mmdssl.datasets.transforms.mask_transform import parse_range
from mmdssl.datasets.transforms.multiview import MultiViewWithBoxes, start_view
from mmdssl.datasets.transforms.view_overlap import Window
from mmdssl.datasets.transforms.views import RandomResizedCropWithBoxes
from mmdssl.registry import TRANSFORMS

__all__ = ['OverlappingCrops', 'overlap_boxes', 'overlaps']


@TRANSFORMS.register_module()
class OverlappingCrops(MultiViewWithBoxes):
    """Makes global and local crops of one image that all overlap the global ones.

    Every view has, beside what :class:`MultiViewWithBoxes` gives it:

    * ``boxes_in_other``: float32 (G, 4), what it shares with each global view, x1 y1 x2 y2 in
      pixels of the view itself;
    * ``boxes_in_global``: in global views only, float32 (V, 4): what each view shares with it,
      in pixels of this global view. Its own row is the whole view.

    The order of the views is that of the pipelines; the first ``num_global_views`` are global.

    Args:
        num_views: how many views each pipeline makes, e.g. ``[2, 4]``.
        pipelines: the first step of each is a ``RandomResizedCropWithBoxes``, and no
            later one may crop or flip: the overlaps could not follow.
        num_global_views: how many of the views are global, at least 1.
        min_overlap: share of the image's area that a crop has to share with each earlier global
            crop, more than; in [0, 1).
        min_overlap_global: the same between two global crops.
        tries: most draws of a crop. Then the one that shared most is taken, or, where none shared
            anything, the window of the first crop: only images with an extreme aspect ratio get
            that far.

    Raises:
        ValueError: for settings that do not fit together; and in use, if a later step of a view
            crops or flips.
    """

    def __init__(
        self,
        *,
        num_views: int | Sequence[int],
        pipelines: Sequence[Sequence[dict[str, Any]]],
        num_global_views: int = 2,
        min_overlap: float = 0.01,
        min_overlap_global: float = 0.02,
        tries: int = 100,
    ) -> None:
        super().__init__(num_views=num_views, pipelines=pipelines)
        self.min_overlap = parse_range(min_overlap, 'OverlappingCrops: min_overlap')[0]
        self.min_overlap_global = parse_range(
            min_overlap_global, 'OverlappingCrops: min_overlap_global'
        )[0]
        # The pipeline of each view.
        self._order = [index for index, n in enumerate(self.num_views) for _ in range(n)]
        if not 1 <= num_global_views <= len(self._order):
            raise ValueError(
                f'OverlappingCrops: num_global_views is {num_global_views}, give 1 to '
                f'{len(self._order)}, the number of views'
            )
        if tries < 1:
            raise ValueError(f'OverlappingCrops: tries is {tries}, give at least 1')
        self.num_global_views = num_global_views
        self.tries = tries
        self._crops: list[RandomResizedCropWithBoxes] = []
        for index, pipeline in enumerate(self.pipelines):
            first = pipeline.transforms[0] if pipeline.transforms else None
            if not isinstance(first, RandomResizedCropWithBoxes):
                raise ValueError(
                    f'OverlappingCrops: view pipeline {index} begins with '
                    f'{type(first).__name__}; make RandomResizedCropWithBoxes its first step'
                )
            self._crops.append(first)
        self._after = [build_pipeline(pipeline.transforms[1:]) for pipeline in self.pipelines]

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds ``views``."""
        windows = self.draw_windows(*results['img'].shape[:2])
        sizes = [self._crops[index].size for index in self._order]
        source = {key: value for key, value in results.items() if key not in ('crop_box', 'flip')}
        views = []
        for place, (index, window) in enumerate(zip(self._order, windows, strict=True)):
            view = self._crops[index].crop(start_view(source, index), window)
            view['boxes_in_other'] = overlap_boxes(
                windows[place], windows[: self.num_global_views], sizes[place]
            )
            if place < self.num_global_views:
                view['boxes_in_global'] = overlap_boxes(window, windows, sizes[place])
            shown = view['crop_box']
            view = self._after[index](view)
            if view['crop_box'] != shown or any(view.get('flip', (False, False))):
                raise ValueError(
                    f'OverlappingCrops: view pipeline {index} crops or flips behind its first '
                    'step, where the overlaps cannot follow: leave those steps out'
                )
            views.append(view)
        results['views'] = views
        return results

    def draw_windows(self, height: int, width: int) -> list[Window]:
        """Crops of all views: left, top, width, height in whole pixels of the image."""
        windows: list[Window] = []
        for place, index in enumerate(self._order):
            is_global = place < self.num_global_views
            share = self.min_overlap_global if is_global else self.min_overlap
            demand = share * height * width
            earlier = windows[: self.num_global_views]
            windows.append(self._draw(self._crops[index], earlier, demand, (height, width)))
        return windows

    def _draw(
        self,
        crop: RandomResizedCropWithBoxes,
        earlier: Sequence[Window],
        demand: float,
        size: tuple[int, int],
    ) -> Window:
        """A crop that shares more than ``demand`` square pixels with each earlier one."""
        best, most = earlier[0] if earlier else None, 0
        for _ in range(self.tries):
            window = crop.sample(*size)
            shared = min(overlaps(window, earlier), default=size[0] * size[1])
            if shared > demand:
                return window
            if shared > most:
                best, most = window, shared
        return best or window

    def __repr__(self) -> str:
        return (
            f'OverlappingCrops(num_views={self.num_views}, views={self.pipelines}, '
            f'num_global_views={self.num_global_views}, min_overlap={self.min_overlap}, '
            f'min_overlap_global={self.min_overlap_global}, tries={self.tries})'
        )


def overlaps(window: Window, others: Sequence[Window]) -> list[int]:
    """Area in square pixels that a crop shares with each of others."""
    left, top, width, height = window
    return [
        max(min(left + width, x + w) - max(left, x), 0)
        * max(min(top + height, y + h) - max(top, y), 0)
        for x, y, w, h in others
    ]


def overlap_boxes(window: Window, others: Sequence[Window], size: tuple[int, int]) -> np.ndarray:
    """What a crop shares with others, in pixels of the crop once it is resized.

    Args:
        window: left, top, width, height in pixels of the image.
        others: the same of the other crops; each shares some area with it.
        size: (height, width) of the resized crop.

    Returns:
        float32 (len(others), 4), x1 y1 x2 y2; the far border is ``size`` itself.
    """
    left, top, width, height = window
    rows = np.asarray(others, np.float64)
    near = np.maximum(rows[:, :2], (left, top))
    far = np.minimum(rows[:, :2] + rows[:, 2:], (left + width, top + height))
    scale = np.array((size[1] / width, size[0] / height) * 2)
    return ((np.concatenate((near, far), axis=1) - (left, top) * 2) * scale).astype(np.float32)

"""Several views of one image, each cropped, flipped and masked in its own way."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmdssl.datasets.pipeline import build_pipeline
from mmdssl.registry import TRANSFORMS

__all__ = ['MultiViewWithBoxes', 'start_view']


@TRANSFORMS.register_module()
class MultiViewWithBoxes(BaseTransform):
    """Makes several views of one image, each through a pipeline of its own.

    Writes ``results['views']``, a list of dicts. A view starts with the entries
    of ``results``; it shares the pixels and has copies of all other arrays
    (boxes, labels, ids). Every view names its pipeline in ``view_index``.

    Args:
        num_views: how many views each pipeline makes, e.g. ``[1, 1]`` for two
            global views with different settings, ``[2, 4]`` for two global and
            four local ones.
        pipelines: one list of transform configs each.

    Raises:
        ValueError: if the two lists do not match.
    """

    def __init__(
        self, *, num_views: int | Sequence[int], pipelines: Sequence[Sequence[dict[str, Any]]]
    ) -> None:
        counts = (num_views,) if isinstance(num_views, int) else tuple(num_views)
        if len(counts) != len(pipelines) or min(counts, default=0) < 1:
            raise ValueError(
                'MultiViewWithBoxes needs one count >= 1 for each of the pipelines: num_views='
                f'{num_views!r}, {len(pipelines)} pipelines'
            )
        self.num_views = counts
        self.pipelines = [build_pipeline(steps) for steps in pipelines]

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds ``views``."""
        results['views'] = [
            pipeline(start_view(results, index))
            for index, pipeline in enumerate(self.pipelines)
            for _ in range(self.num_views[index])
        ]
        return results

    def __repr__(self) -> str:
        return f'MultiViewWithBoxes(num_views={self.num_views}, views={self.pipelines})'


def start_view(results: dict[str, Any], index: int) -> dict[str, Any]:
    """A dict of its own for one view: shared pixels, copied arrays."""
    view = {
        key: value.copy() if isinstance(value, np.ndarray) and key != 'img' else value
        for key, value in results.items()
        if key != 'views'
    }
    view['view_index'] = index
    return view

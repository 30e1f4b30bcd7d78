"""Views of one image that share K boxes, and where each box lies in each view.

The data side of region-level methods, as SoCo (NeurIPS 2021) has it: of all
proposals of an image only those count that reach into what *all* views show;
K of them are chosen at random. Crops that leave too few are drawn again, before
a single pixel is touched. Each view gets the chosen boxes clipped to its crop,
resized and mirrored with it; a box keeps its id, by which views are matched.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mmdssl.datasets.pipeline import build_pipeline
from mmdssl.datasets.transforms.boxes import ids_key
from mmdssl.datasets.transforms.multiview import MultiViewWithBoxes, start_view
from mmdssl.datasets.transforms.random_streams import RandomSource, random_source
from mmdssl.datasets.transforms.view_overlap import (
    Window,
    common_candidates,
    pad_rows,
    view_boxes,
)
from mmdssl.datasets.transforms.views import RandomResizedCropWithBoxes
from mmdssl.registry import TRANSFORMS

__all__ = ['CommonBoxViews']


@TRANSFORMS.register_module()
class CommonBoxViews(MultiViewWithBoxes):
    """Makes views of one image that have K boxes in common (SoCo, NeurIPS 2021, Sec. 3.1).

    Proposals are rows: one that stands in several rows, with several ids, is as
    many times more likely to be chosen, may be chosen more than once, and matches
    itself under the same id only. Crops are drawn again, all of them, while fewer
    than ``max(K // 2, 1)`` proposals reach into the part that all views show; the
    demand is halved with every try, and the last try is taken as it comes. Then K
    of those proposals are chosen without replacement. Where there are fewer, each view
    fills up with repetitions drawn on its own, so that the same box may stand in
    different rows. An image without proposals, or whose views share none, is one
    box itself, with id 1.

    Every view has, beside what :class:`MultiViewWithBoxes` gives it:

    * ``boxes``: float32 (K, 4), x1 y1 x2 y2 in pixels of the view;
    * ``box_ids``: int64 (K,), ids of the proposals: rows of two views with equal
      ids show the same box;
    * ``regions`` and ``regions_ids``: the chosen boxes without repetitions,
      (n <= K, 4) and (n,), for masks: a cut per region should not count one twice.
      Proposals of one place with several ids are one region, that of the first.

    The proposals themselves are not handed to the views. ``crop_box`` and
    ``flip`` of a view refer to the image this transform was given.

    Args:
        num_views: how many views each pipeline makes, see :class:`MultiViewWithBoxes`.
        pipelines: the geometric ones. The first step of each says what the view
            shows: a ``RandomResizedCropWithBoxes``; any other first step, such as
            ``ResizeWithBoxes``, shows the whole image. Flips may follow.
        finish: pipelines that run on a view once it has its boxes (cutout, masks,
            box jitter), one or None for each of ``views``; None for none at all.
        num_boxes: K, boxes per view, at least 1.
        tries: most draws of the crops, at least 1.
        boxes_key: where the proposals are: float (N, 4), x1 y1 x2 y2 in pixels of
            the image with inclusive corners; ids under ``<boxes_key>_ids``, else
            1 to N.
        stream: name of an own random stream for choice and repetitions; None
            for the global one.

    Raises:
        ValueError: for settings that do not fit together; and in use, if there
            are no proposals under ``boxes_key``, if they do not fit the image, or
            if a later step of a view crops again.
    """

    def __init__(
        self,
        *,
        num_views: int | Sequence[int],
        pipelines: Sequence[Sequence[dict[str, Any]]],
        finish: Sequence[Sequence[dict[str, Any]] | None] | None = None,
        num_boxes: int = 4,
        tries: int = 5,
        boxes_key: str = 'proposals',
        stream: str | None = None,
    ) -> None:
        super().__init__(num_views=num_views, pipelines=pipelines)
        if finish is not None and len(finish) != len(pipelines):
            raise ValueError(
                'CommonBoxViews needs one pipeline (or None) in finish for each in pipelines: '
                f'{len(finish)} and {len(pipelines)} are given'
            )
        if num_boxes < 1 or tries < 1:
            raise ValueError(
                f'CommonBoxViews: num_boxes={num_boxes} and tries={tries} are at least 1'
            )
        self.num_boxes = num_boxes
        self.tries = tries
        self.boxes_key = boxes_key
        self.stream = stream
        self.finish = [build_pipeline(steps or ()) for steps in finish or [()] * len(pipelines)]
        # The pipeline of each view, and its crop taken off the front.
        self._order = [index for index, n in enumerate(self.num_views) for _ in range(n)]
        self._crops = [_first_crop(pipeline.transforms) for pipeline in self.pipelines]
        self._geometry = [
            build_pipeline(pipeline.transforms[crop is not None :])
            for pipeline, crop in zip(self.pipelines, self._crops, strict=True)
        ]

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds ``views``."""
        height, width = results['img'].shape[:2]
        boxes, ids = self._proposals(results, height, width)
        rng = random_source(self.stream)
        windows, candidates = self.draw_windows(boxes, height, width)
        if len(candidates):
            chosen = candidates[rng.permutation(len(candidates))[: self.num_boxes]]
            boxes, ids = boxes[chosen], ids[chosen]
        else:
            boxes, ids = _whole_image(height, width)
        source = {
            key: value
            for key, value in results.items()
            if key not in (self.boxes_key, ids_key(self.boxes_key), 'crop_box', 'flip')
        }
        results['views'] = [
            self._view(source, index, window, boxes, ids, rng)
            for index, window in zip(self._order, windows, strict=True)
        ]
        return results

    def draw_windows(
        self, boxes: np.ndarray, height: int, width: int
    ) -> tuple[list[Window], np.ndarray]:
        """Crops of all views that have enough boxes in common, or the last ones tried.

        Args:
            boxes: (N, 4) proposals.
            height: of the image.
            width: of the image.

        Returns:
            The crop (left, top, width, height) of each view, and the rows of the
            boxes that reach into all of them, int64 (n,).
        """
        demand = max(self.num_boxes // 2, 1)
        for _ in range(self.tries):
            windows = [
                (0, 0, width, height) if crop is None else crop.sample(height, width)
                for crop in (self._crops[index] for index in self._order)
            ]
            rows = np.flatnonzero(common_candidates(boxes, windows))
            if len(rows) >= demand:
                break
            demand = max(demand // 2, 1)
        return windows, rows

    def _proposals(
        self, results: dict[str, Any], height: int, width: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Checked proposals (N, 4) and ids (N,); the whole image where there are none."""
        if self.boxes_key not in results:
            raise ValueError(
                f'CommonBoxViews found no results[{self.boxes_key!r}]: put LoadProposals (boxes '
                'stored by mmdssl proposals) or SelectiveSearch before it'
            )
        boxes = np.asarray(results[self.boxes_key])
        if boxes.size == 0:
            return _whole_image(height, width)
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(
                f'results[{self.boxes_key!r}] has shape {boxes.shape}, boxes are (N, 4): '
                'x1 y1 x2 y2 in pixels'
            )
        lowest, highest = boxes.min(axis=0), boxes.max(axis=0)
        if min(lowest[:2]) < 0 or highest[2] > width or highest[3] > height:
            raise ValueError(
                f'{results.get("img_path", "the image")} has {width} x {height} pixels, but '
                f'results[{self.boxes_key!r}] reach from {lowest[:2].tolist()} to '
                f'{highest[2:].tolist()}: they were made for another image or size'
            )
        ids = results.get(ids_key(self.boxes_key))
        return boxes, np.arange(1, len(boxes) + 1) if ids is None else np.asarray(ids, np.int64)

    def _view(
        self,
        source: dict[str, Any],
        index: int,
        window: Window,
        boxes: np.ndarray,
        ids: np.ndarray,
        rng: RandomSource,
    ) -> dict[str, Any]:
        """One view with its boxes."""
        view, crop = start_view(source, index), self._crops[index]
        view = self._geometry[index](view if crop is None else crop.crop(view, window))
        left, top, width, height = window
        shown = view.get('crop_box', (0, 0, width, height))
        if tuple(shown) != (left, top, left + width, top + height):
            raise ValueError(
                f'CommonBoxViews: view pipeline {index} crops behind its first step, where boxes '
                'cannot follow: make RandomResizedCropWithBoxes its first step and only crop'
            )
        moved = view_boxes(
            boxes, window, size=view['img'].shape[:2], flip=view.get('flip', (False, False))
        ).astype(np.float32)
        missing = self.num_boxes - len(ids)
        rows = pad_rows(len(ids), self.num_boxes, rng.random(missing)) if missing else slice(None)
        _, places = np.unique(boxes, axis=0, return_index=True)
        places.sort()
        view['regions'], view['regions_ids'] = moved[places], ids[places]
        view['boxes'], view['box_ids'] = moved[rows], ids[rows]
        return self.finish[index](view)

    def __repr__(self) -> str:
        return (
            f'CommonBoxViews(num_views={self.num_views}, views={self.pipelines}, '
            f'finish={self.finish}, num_boxes={self.num_boxes}, tries={self.tries}, '
            f'boxes_key={self.boxes_key!r}, stream={self.stream!r})'
        )


def _first_crop(steps: Sequence[Callable]) -> RandomResizedCropWithBoxes | None:
    """The crop a pipeline begins with, or None."""
    return steps[0] if steps and isinstance(steps[0], RandomResizedCropWithBoxes) else None


def _whole_image(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The image as its only proposal: (1, 4) with inclusive corners, and id 1."""
    return np.array([[0, 0, width - 1, height - 1]], np.float32), np.ones(1, np.int64)

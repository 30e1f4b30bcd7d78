"""Pairs of crops that share a part of the image, mirrored or not: SlotCon, PLRC."""

from collections.abc import Sequence
from typing import Any, Literal

from mmdssl.datasets.pipeline import build_pipeline
from mmdssl.datasets.transforms.mask_transform import parse_range
from mmdssl.datasets.transforms.multiview import MultiViewWithBoxes, start_view
from mmdssl.datasets.transforms.overlapping_crops import overlaps
from mmdssl.datasets.transforms.region_collaborative_cutout import check_choice
from mmdssl.datasets.transforms.view_overlap import Window
from mmdssl.datasets.transforms.views import RandomResizedCropWithBoxes
from mmdssl.registry import TRANSFORMS

__all__ = ['OverlappingPairs', 'enough_in_common']


@TRANSFORMS.register_module()
class OverlappingPairs(MultiViewWithBoxes):
    """Makes views of one image whose crops share a part of it, pair by pair.

    Unlike those of :class:`OverlappingCrops`, the views may be mirrored after their crop: what
    they share follows from the ``crop_box`` and ``flip`` that each view has.

    Args:
        num_views: How many views each pipeline makes, see :class:`MultiViewWithBoxes`.
        pipelines: The first step of each is a ``RandomResizedCropWithBoxes``; flips and masks may
            follow, no further crop.
        pairs: Indices of the views of each pair; the second None for a crop that is drawn as a
            partner, but not made into a view. Every view stands in one pair.
        redraw: ``'second'``: the second crop is drawn again until it shares ``min_share`` of its
            own area; a last draw is taken as it comes (SlotCon). ``'both'``: both are drawn again
            until they share ``min_share`` of the larger one's area; the last pair is taken as it
            is (PLRC).
        min_share: In [0, 1].
        tries: Most draws that are looked at.

    Raises:
        ValueError: For settings that do not fit together; and in use, if a view is cropped again.
    """

    def __init__(
        self,
        *,
        num_views: int | Sequence[int],
        pipelines: Sequence[Sequence[dict[str, Any]]],
        pairs: Sequence[tuple[int, int | None]] = ((0, 1),),
        redraw: Literal['second', 'both'] = 'second',
        min_share: float = 0.01,
        tries: int = 10,
    ) -> None:
        super().__init__(num_views=num_views, pipelines=pipelines)
        self.pairs = tuple((first, second) for first, second in pairs)
        check_choice('redraw', redraw, ('second', 'both'))
        self.redraw = redraw
        self.min_share = parse_range(min_share, 'OverlappingPairs: min_share')[0]
        self.tries = tries
        self._order = [index for index, n in enumerate(self.num_views) for _ in range(n)]
        named = sorted(view for pair in self.pairs for view in pair if view is not None)
        if named != list(range(len(self._order))) or tries < 1:
            raise ValueError(
                f'OverlappingPairs: pairs={self.pairs} of {len(self._order)} views, tries={tries}; '
                'every view stands in one pair, and tries is at least 1'
            )
        self._crops: list[RandomResizedCropWithBoxes] = []
        for index, pipeline in enumerate(self.pipelines):
            first = pipeline.transforms[0] if pipeline.transforms else None
            if not isinstance(first, RandomResizedCropWithBoxes):
                raise ValueError(
                    f'OverlappingPairs: view pipeline {index} begins with '
                    f'{type(first).__name__}; make RandomResizedCropWithBoxes its first step'
                )
            self._crops.append(first)
        self._after = [build_pipeline(pipeline.transforms[1:]) for pipeline in self.pipelines]

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds ``views``."""
        windows = self.draw_windows(*results['img'].shape[:2])
        source = {key: value for key, value in results.items() if key not in ('crop_box', 'flip')}
        results['views'] = []
        for index, window in zip(self._order, windows, strict=True):
            view = self._crops[index].crop(start_view(source, index), window)
            shown = view['crop_box']
            view.setdefault('flip', (False, False))
            view = self._after[index](view)
            if view['crop_box'] != shown:
                raise ValueError(
                    f'OverlappingPairs: view pipeline {index} crops behind its first step: leave '
                    'that step out'
                )
            results['views'].append(view)
        return results

    def draw_windows(self, height: int, width: int) -> list[Window]:
        """Crops of all views: left, top, width, height in whole pixels of the image."""
        windows: dict[int, Window] = {}
        for first, second in self.pairs:
            other = first if second is None else second
            crop, partner = (self._crops[self._order[view]] for view in (first, other))
            pair = self._draw(crop, partner, (height, width))
            windows[first] = pair[0]
            if second is not None:
                windows[second] = pair[1]
        return [windows[view] for view in range(len(self._order))]

    def _draw(
        self,
        crop: RandomResizedCropWithBoxes,
        other: RandomResizedCropWithBoxes,
        size: tuple[int, int],
    ) -> tuple[Window, Window]:
        first = crop.sample(*size)
        for number in range(self.tries):
            if self.redraw == 'both' and number:
                first = crop.sample(*size)
            second = other.sample(*size)
            if enough_in_common(first, second, self.min_share, of=self.redraw):
                return first, second
        return first, second if self.redraw == 'both' else other.sample(*size)

    def __repr__(self) -> str:
        return (
            f'OverlappingPairs(num_views={self.num_views}, views={self.pipelines}, '
            f'pairs={self.pairs}, redraw={self.redraw!r}, min_share={self.min_share}, '
            f'tries={self.tries})'
        )


def enough_in_common(
    first: Window, second: Window, share: float, *, of: Literal['second', 'both']
) -> bool:
    """Whether two crops share that much of the second's area, or of the larger of both."""
    area = second[2] * second[3]
    if of == 'both':
        area = max(area, first[2] * first[3])
    return overlaps(first, [second])[0] >= share * area

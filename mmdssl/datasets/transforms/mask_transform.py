"""What all mask transforms share: when, how much, how large and where a mask is written."""

from abc import abstractmethod
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmdssl.datasets.transforms.random_streams import RandomSource, random_source

__all__ = ['MaskTransform', 'parse_range', 'parse_size']


def parse_size(value: int | Sequence[int], name: str) -> tuple[int, int]:
    """``n`` or ``(h, w)`` to ``(h, w)``; ValueError naming ``name`` where it is no size."""
    size = (value, value) if isinstance(value, int) else tuple(value)
    if len(size) != 2 or any(int(side) != side or side < 1 for side in size):
        raise ValueError(f'{name} is a positive int or two of them (h, w), not {value!r}')
    return int(size[0]), int(size[1])


def parse_range(
    value: float | Sequence[float], name: str, low: float = 0.0, high: float = 1.0
) -> tuple[float, float]:
    """``x`` or ``(lo, hi)`` to ``(lo, hi)`` within [low, high]; ValueError naming ``name``."""
    pair = (value, value) if isinstance(value, Real) else tuple(value)  # type: ignore[arg-type]
    if len(pair) != 2 or not low <= pair[0] <= pair[1] <= high:  # type: ignore[operator]
        raise ValueError(
            f'{name} is a number in [{low:g}, {high:g}] or a pair (lo, hi) of them with '
            f'lo <= hi, not {value!r}'
        )
    return float(pair[0]), float(pair[1])  # type: ignore[arg-type]


class MaskTransform(BaseTransform):
    """Draws a mask and writes it as a bool array (h, w), True = cut (background).

    Put masks behind the crops and flips of a pipeline: a mask drawn before is
    not moved along.

    Args:
        ratio: share to cut, a number in [0, 1] or the pair (lo, hi) to draw it
            from uniformly, once per mask.
        empty_prob: probability of an empty mask instead.
        mask_size: cells of the mask, ``n`` or ``(h, w)``, e.g. (14, 14) for the
            patches of ViT-S/16 at 224 px; None for the resolution of the image.
        key: key of ``results`` the mask is written to.
        regions_key: key of ``results`` that holds the regions, where the mask
            follows regions: float (N, 4), x1 y1 x2 y2 in pixels of the image.
        stream: name of an own random stream (see
            :mod:`mmdssl.datasets.transforms.random_streams`); None for the global one.

    Raises:
        ValueError: for settings out of range.
    """

    def __init__(
        self,
        *,
        ratio: float | tuple[float, float],
        empty_prob: float = 0.0,
        mask_size: int | tuple[int, int] | None = None,
        key: str = 'mask',
        regions_key: str = 'regions',
        stream: str | None = None,
    ) -> None:
        name = type(self).__name__
        self.ratio = parse_range(ratio, f'{name}: ratio')
        self.empty_prob = parse_range(empty_prob, f'{name}: empty_prob')[0]
        self.mask_size = None if mask_size is None else parse_size(mask_size, f'{name}: mask_size')
        self.key = key
        self.regions_key = regions_key
        self.stream = stream

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Writes ``results[key]``, bool (h, w)."""
        rng = random_source(self.stream)
        height, width = self.mask_size or results['img'].shape[:2]
        if self.empty_prob and rng.random() < self.empty_prob:
            results[self.key] = np.zeros((height, width), bool)
        else:
            results[self.key] = self.draw(results, height, width, rng)
        return results

    @abstractmethod
    def draw(
        self, results: dict[str, Any], height: int, width: int, rng: RandomSource
    ) -> np.ndarray:
        """A mask, bool (height, width), True = cut."""

    def draw_ratio(self, rng: RandomSource) -> float:
        """One share to cut, uniform in ``ratio``."""
        low, high = self.ratio
        return low + (high - low) * rng.random() if high > low else low

    def regions_of(
        self, results: dict[str, Any], height: int, width: int
    ) -> tuple[np.ndarray, tuple[float, float]]:
        """The regions in pixels, (N, 4), and the mask cells per pixel (x, y)."""
        if self.regions_key not in results:
            raise ValueError(
                f'{type(self).__name__} found no results[{self.regions_key!r}]: put a transform '
                'that writes regions, such as GridRegions, before it'
            )
        image_height, image_width = results['img'].shape[:2]
        scale = width / image_width, height / image_height
        return np.asarray(results[self.regions_key]), scale

    def __repr__(self) -> str:
        settings = ', '.join(f'{name}={value!r}' for name, value in vars(self).items())
        return f'{type(self).__name__}({settings})'

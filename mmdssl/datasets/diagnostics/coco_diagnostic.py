"""What the diagnostics over annotated objects share: reading, choosing, and saying what was chosen.

A diagnostic is a set of composed images whose regions are compared by a metric. Everything random
in it is drawn when the set is built, from its seed, so that samples are the same in any worker,
order or epoch; the rule and the seed stand in ``metainfo['selection']``.
"""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary
from zlib import crc32

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch.utils.data import Dataset

from mmdssl.datasets.coco_checks import leaves_missing_out
from mmdssl.datasets.coco_objects import CocoObjects
from mmdssl.datasets.transforms.loading import LoadImage
from mmdssl.datasets.transforms.views import resize_image

__all__ = ['CocoDiagnostic', 'squash', 'squash_mask']

_opened: WeakValueDictionary[str, CocoObjects] = WeakValueDictionary()


class CocoDiagnostic(Dataset):
    """Base of the diagnostics over a COCO json file.

    A sample is ``inputs`` (V, 3, H, W) uint8 RGB, the views (with ``load`` of n channels), and
    ``data_samples`` with the fields :class:`DiagnosticExtractor` reads. Collate with
    ``default_collate``.

    Args:
        ann_file: The json file, relative to ``data_root`` unless absolute.
        data_root: Folder that ``ann_file`` and ``data_prefix`` are relative to.
        data_prefix: Folder of the images.
        num: Number of samples.
        seed: Seed of everything that is drawn.
        min_side: Smallest width and height, in pixels of the file, of an object that is used.
        with_masks: Keep the outlines.
        load: Settings of `LoadImage`, for images of n channels; None: photos.

    Raises:
        ValueError: If ``num`` is below 1 or ``min_side`` not positive.
    """

    def __init__(
        self,
        *,
        ann_file: str | Path,
        data_root: str | Path = '',
        data_prefix: str | Path | Mapping[str, str] = '',
        num: int,
        seed: int,
        min_side: float,
        with_masks: bool = False,
        load: Mapping[str, Any] | None = None,
    ) -> None:
        if num < 1:
            raise ValueError(f'{type(self).__name__}: num={num} must be at least 1')
        if min_side <= 0:
            raise ValueError(f'{type(self).__name__}: min_side={min_side} must be positive')
        # All boxes are read, small ones too: they decide whether an object is the only one.
        self.objects = _open(
            dict(ann_file=ann_file, data_root=data_root, data_prefix=data_prefix), with_masks
        )
        self.num = num
        self.seed = seed
        self.min_side = min_side
        self._read = LoadImage(**(load or {}))

    @property
    def metainfo(self) -> dict[str, Any]:
        """``classes``, ``ann_file`` and ``selection``: rule, seed and numbers, plain values."""
        return {**self.objects.metainfo, 'selection': self.selection()}

    def selection(self) -> dict[str, Any]:
        """How the samples were chosen."""
        return dict(
            diagnostic=type(self).__name__, seed=self.seed, num=len(self), min_side=self.min_side
        )

    @abstractmethod
    def __len__(self) -> int:
        """Number of samples."""

    @abstractmethod
    def __getitem__(self, index: int) -> dict[str, Any]:
        """Views and regions of a sample."""

    def generator(self, purpose: str, index: int = 0) -> np.random.Generator:
        """Random numbers that depend on the seed, the purpose and the index alone."""
        return np.random.default_rng([self.seed, crc32(purpose.encode()), index])

    def read_image(self, index: int) -> np.ndarray:
        """Pixels (H, W, 3) uint8 RGB of an image, or as ``load`` says; raises where unreadable."""
        return self._read(self.objects.get_data_info(index))['img']

    def large_enough(self, boxes: np.ndarray) -> np.ndarray:
        """Which of the boxes (n, 4) have both sides of ``min_side``: positions."""
        return np.flatnonzero((boxes[:, 2:] - boxes[:, :2] >= self.min_side).all(axis=1))

    def other_image(self, index: int, generator: np.random.Generator) -> int:
        """An image other than ``index``, uniformly.

        Raises:
            ValueError: If there is only one.
        """
        count = len(self.objects)
        if count < 2:
            raise ValueError(
                f'{type(self).__name__} takes backgrounds from other images, but '
                f'{self.objects.ann_file} has one image only'
            )
        other = int(generator.integers(count - 1))
        return other + (other >= index)

    def too_few(self, found: int, what: str, remedy: str) -> ValueError:
        """The error of a selection that found less than was asked for."""
        return ValueError(
            f'{type(self).__name__}: {self.objects.ann_file} gives {found} {what}, not the '
            f'{self.num} asked for: {remedy}'
        )

    @staticmethod
    def pack(views: np.ndarray, sample: BaseDataElement) -> dict[str, Any]:
        """Views (V, H, W, 3) uint8 and the sample that describes them."""
        # (V, H, W, 3) -> (V, 3, H, W)
        inputs = torch.from_numpy(np.ascontiguousarray(views.transpose(0, 3, 1, 2)))
        return dict(inputs=inputs, data_samples=sample)


def _open(files: dict[str, Any], with_masks: bool) -> CocoObjects:
    """The objects of a file, read once for all diagnostics that look at it at the same time."""
    stamp = Path(files['data_root'], files['ann_file'])
    changed = stamp.stat().st_mtime_ns if stamp.exists() else 0
    key = f'{files} {changed} {leaves_missing_out()} '
    # Outlines do no harm where they are not asked for.
    found = _opened.get(f'{key}True') or _opened.get(f'{key}{with_masks}')
    if found is None:
        found = CocoObjects(**files, with_masks=with_masks)
        _opened[f'{key}{with_masks}'] = found
    return found


def squash(image: np.ndarray, size: int) -> np.ndarray:
    """The whole image (H, W, 3) as a square of ``size`` pixels, uint8; a copy."""
    if image.shape[:2] == (size, size):
        return image.copy()
    return resize_image(image, (size, size))


def squash_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """A mask (H, W) bool as a square of ``size`` pixels: the value at each pixel's centre."""
    rows = (np.arange(size) * 2 + 1) * mask.shape[0] // (2 * size)
    columns = (np.arange(size) * 2 + 1) * mask.shape[1] // (2 * size)
    return mask[np.ix_(rows, columns)]

"""What our data sets share: run the pipeline, and survive unreadable images.

One truncated file among a hundred thousand must not end a run after hours, and a broken disk
must not pass unnoticed. So an unreadable image is replaced by another one, entered in a journal
(`mmdssl.datasets.bad_images`), and too many of them end the run with one clear sentence.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset

from mmdssl.datasets.bad_images import BadImages, TooManyBadImagesError
from mmdssl.datasets.decode import ImageDecodeError
from mmdssl.datasets.pipeline import build_pipeline
from mmdssl.datasets.sample_draws import restart_sample

__all__ = ['ImageDataset', 'evenly_spaced']


class ImageDataset(Dataset, ABC):
    """Base of data sets that read one image file per sample.

    Args:
        total: Number of samples.
        pipeline: Transforms to run on a sample's results dict. Reading errors are recognised by
            `ImageDecodeError`, which `LoadImage` raises.
        on_bad: ``'replace'``: take another image for an unreadable one. ``'raise'``: pass the
            error on, for evaluations that must see every image.
        max_bad_share: Share of the images, 0..1, that may be unreadable before
            `TooManyBadImagesError` is raised; ten bad images are always tolerated.
        bad_list: File that lists the unreadable images. None: a new one in the folder for
            temporary files. `BadImagesHook` copies the list into the work folder.

    Raises:
        ValueError: ``on_bad`` is neither of the two.
    """

    def __init__(
        self,
        *,
        total: int,
        pipeline: Sequence[dict | Callable],
        on_bad: Literal['replace', 'raise'],
        max_bad_share: float,
        bad_list: str | Path | None,
    ) -> None:
        if on_bad not in ('replace', 'raise'):
            raise ValueError(f"on_bad must be 'replace' or 'raise', got {on_bad!r}")
        self.on_bad = on_bad
        self.bad_images = BadImages(total=total, max_share=max_bad_share, path=bad_list)
        self.pipeline = build_pipeline(pipeline)
        self._total = total
        # A stride that shares no factor with the length visits every sample before any twice; one
        # near the golden section lands far from the bad file, whose neighbours may be bad as well.
        stride = max(1, round(0.618 * total))
        while math.gcd(stride, total) != 1:
            stride += 1
        self._stride = stride

    @property
    def metainfo(self) -> dict[str, Any]:
        """Facts about the data set as a whole, such as its ``classes``."""
        return {}

    @abstractmethod
    def get_data_info(self, index: int) -> dict[str, Any]:
        """The results dict of sample ``index`` before the pipeline; nothing in it is shared."""

    def __len__(self) -> int:
        return self._total

    def __getitem__(self, index: int) -> Any:
        """Run the pipeline on sample ``index``, or on its substitute where it cannot be read.

        The substitute is a function of ``index`` alone; ``sample_idx`` and ``img_path`` are
        those of the image that was read.

        Raises:
            ImageDecodeError: The image cannot be read and ``on_bad='raise'``.
            TooManyBadImagesError: More images are bad than allowed, or every one is.
        """
        if not -self._total <= index < self._total:
            raise IndexError(f'index {index} is out of range for {self._total} images')
        for attempt in range(self._total):
            chosen = (index + attempt * self._stride) % self._total
            if chosen in self.bad_images:
                continue
            if attempt:  # known as bad or found to be just now: the draws are the same
                restart_sample()
            info = self.get_data_info(chosen)
            try:
                results = self.pipeline(info)
            except ImageDecodeError as error:
                if self.on_bad == 'raise':
                    raise
                self.bad_images.add(chosen, error.path, error.reason)
                continue
            if results is None:
                raise ValueError(
                    f'a transform returned None for sample {chosen}: the pipeline must return '
                    'results for every image'
                )
            return results
        raise TooManyBadImagesError(
            f'none of the {self._total} images can be read; {self.bad_images.path} lists them '
            'with reasons: check data_root'
        )


def evenly_spaced(total: int, keep: int | None) -> npt.NDArray[np.int64]:
    """Indices of ``keep`` of ``total`` items, evenly spaced; of all where ``keep`` is None.

    Raises:
        ValueError: ``keep`` is below 1.
    """
    if keep is None or keep >= total:
        return np.arange(total)
    if keep < 1:
        raise ValueError(f'max_images must be at least 1, got {keep}')
    return np.arange(keep) * total // keep

"""What data sets of unlabelled images share: photos, or images of n channels with their ranges."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from mmdssl.datasets.base import ImageDataset
from mmdssl.datasets.channels import (
    ChannelReader,
    ChannelStatistics,
    Scale,
    channel_statistics,
)
from mmdssl.datasets.image_header import Source
from mmdssl.datasets.image_list import ByteStrings

__all__ = ['ChannelImages']


class ChannelImages(ImageDataset):
    """Base of data sets that know their images by a list of names.

    Args:
        paths: The list.
        kept_list: File beside which statistics are kept; None: nowhere.
        pipeline: See `ImageDataset`, as for all that follow but
        channels: the number of channels; see `ImageFolder`, also for ``dtype``, ``scale``,
            ``channels_axis`` and ``nodata``.

    Raises:
        ValueError: A setting makes no sense, or no image can be read to measure its range.
    """

    #: Folder or address of the images, set by the data set before all else.
    data_root: str

    def __init__(
        self,
        *,
        paths: ByteStrings,
        kept_list: Path | None,
        pipeline: Sequence[dict | Callable],
        on_bad: Literal['replace', 'raise'],
        max_bad_share: float,
        bad_list: str | Path | None,
        channels: int | None,
        dtype: Literal['float32', 'uint8'] | None,
        scale: Scale | None,
        channels_axis: Literal['first', 'last'] | None,
        nodata: float | None,
    ) -> None:
        self._paths = paths
        self._kept_list = kept_list
        self._scale = scale
        self._reader = _reader(channels, dtype, scale, channels_axis, nodata)
        if self._reader is not None and scale is None:
            self._reader = replace(self._reader, scale=self.statistics.scale)
        super().__init__(
            total=len(paths),
            pipeline=pipeline,
            on_bad=on_bad,
            max_bad_share=max_bad_share,
            bad_list=bad_list,
        )

    @property
    def metainfo(self) -> dict[str, Any]:
        """``data_root``."""
        return {'data_root': self.data_root}

    @abstractmethod
    def _locate(self, number: int) -> Source:
        """Where an image of the list is read from."""

    def get_data_info(self, index: int) -> dict[str, Any]:
        """``img_path`` and ``sample_idx`` of image ``index``, ``img_source`` and ``img_reader``."""
        index %= len(self)
        source = self._locate(index)
        info: dict[str, Any] = {'sample_idx': index}
        if isinstance(source, str):
            info['img_path'] = source
        else:
            info |= {'img_path': source.path, 'img_source': source}  # type: ignore[union-attr]
        if self._reader is not None:
            info['img_reader'] = self._reader
        return info

    @cached_property
    def statistics(self) -> ChannelStatistics:
        """Range, mean and standard deviation of the channels, measured once and kept.

        Raises:
            ValueError: The images are photos, or none can be read.
        """
        if self._reader is None:
            raise ValueError(f'{type(self).__name__} measures images of n channels: set channels')
        return channel_statistics(
            self._paths,
            self._locate,
            channels=self._reader.channels,
            scale=self._scale,
            axis=self._reader.axis,
            nodata=self._reader.nodata,
            cache=self._kept_list,
        )


def _reader(
    channels: int | None,
    dtype: Literal['float32', 'uint8'] | None,
    scale: Scale | None,
    axis: Literal['first', 'last'] | None,
    nodata: float | None,
) -> ChannelReader | None:
    """What reads images of n channels, in a range of 1 where none is given; None for photos."""
    if channels is not None:
        return ChannelReader(
            channels=channels,
            scale=1.0 if scale is None else scale,
            dtype=dtype or 'float32',
            axis=axis,
            nodata=nodata,
        )
    own = dict(dtype=dtype, scale=scale, channels_axis=axis, nodata=nodata)
    for name, value in own.items():
        if value is not None:
            raise ValueError(f'{name}={value!r} is of images of n channels: set channels as well')
    return None

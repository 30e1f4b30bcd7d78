"""Pre-training on a folder of photos: nothing but images, in any number and any nesting."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from mmdssl.datasets.base import ImageDataset, evenly_spaced
from mmdssl.datasets.channels import (
    CHANNEL_EXTENSIONS,
    ChannelReader,
    ChannelStatistics,
    Scale,
    channel_statistics,
)
from mmdssl.datasets.decode import IMAGE_EXTENSIONS
from mmdssl.datasets.image_list import ByteStrings, list_file, list_images
from mmdssl.registry import DATASETS

__all__ = ['ImageFolder']


@DATASETS.register_module()
class ImageFolder(ImageDataset):
    """All images below a folder, without labels.

    A sample's results dict holds ``img_path`` (str) and ``sample_idx`` (int); the pipeline does
    the rest, beginning with `LoadImage`. With ``channels`` it also holds ``img_reader``, by which
    `LoadImage` reads images that are no RGB of 8 bits.

    Args:
        data_root: The folder; its sub-folders are searched too, hidden ones are not.
        pipeline: Transforms, as configs or callables.
        folders: Search these sub-folders of ``data_root`` only, in this order; None: all of it.
        extensions: File name endings that count as images, any case; None: all that are read.
        cache: Keep the list of files for the next run: True in the user's cache folder, a path
            in that file, False not at all. A list is used again only if no folder changed since.
        max_images: Use only so many images, evenly spaced over the list. None: all.
        on_bad: ``'replace'`` an unreadable image by another one, or ``'raise'``.
        max_bad_share: Share of unreadable images, 0..1, above which the run ends with an error.
        bad_list: File that lists unreadable images; None: one in the folder for temporary files.
        channels: Images have so many channels, of any sample type: TIFF, GeoTIFF, .npy, .npz, PNG
            of 16 bits. None: they are photos, and become RGB of 8 bits.
        dtype: With ``channels``: ``'float32'`` (default) or ``'uint8'``, see `ChannelReader`.
        scale: With ``channels``: the value that becomes white, a pair (low, high), or such a pair a
            channel. None: by `channel_statistics`, 0..255 of samples of 8 bits and the 0.1st to
            99.9th percentile of others.
        channels_axis: With ``channels``: ``'first'`` or ``'last'``; None: the axis of that length.
        nodata: With ``channels``: a value that stands for none, beside NaN, infinity and what a
            GeoTIFF names itself; such pixels get the mean of the others of their channel.

    Raises:
        FileNotFoundError: There is no such folder, or no image in it.
        NotADirectoryError: ``data_root`` is a file.
        ValueError: A setting makes no sense, or no image can be read to measure its range.
    """

    def __init__(
        self,
        *,
        data_root: str | Path,
        pipeline: Sequence[dict | Callable] = (),
        folders: Sequence[str] | None = None,
        extensions: Sequence[str] | None = None,
        cache: bool | str | Path = True,
        max_images: int | None = None,
        on_bad: Literal['replace', 'raise'] = 'replace',
        max_bad_share: float = 0.05,
        bad_list: str | Path | None = None,
        channels: int | None = None,
        dtype: Literal['float32', 'uint8'] | None = None,
        scale: Scale | None = None,
        channels_axis: Literal['first', 'last'] | None = None,
        nodata: float | None = None,
    ) -> None:
        self.data_root = os.fspath(data_root)
        if extensions is None:
            extensions = IMAGE_EXTENSIONS if channels is None else CHANNEL_EXTENSIONS
        if isinstance(folders, str) or (folders is not None and not folders):
            raise ValueError(f'folders is {folders!r}, give a list of sub-folders or None')
        if folders is None:
            paths = list_images(self.data_root, extensions, cache)
        else:
            if cache not in (True, False):
                raise ValueError(f'cache={cache!r} is one file, folders are several: give True')
            paths = ByteStrings.pack(
                os.path.join(os.fsencode(folder), path)
                for folder in folders
                for path in list_images(os.path.join(self.data_root, folder), extensions, cache)
            )
        if not len(paths):
            raise FileNotFoundError(
                f'no image in {self.data_root} or its sub-folders: check data_root, or name your '
                f"files' endings in extensions (now {' '.join(extensions)})"
            )
        chosen = evenly_spaced(len(paths), max_images)
        self._paths = paths if len(chosen) == len(paths) else paths.take(chosen)
        self._kept_list = list_file(self.data_root, extensions, cache)
        self._scale = scale
        self._reader = _reader(channels, dtype, scale, channels_axis, nodata)
        if self._reader is not None and scale is None:
            self._reader = replace(self._reader, scale=self.statistics.scale)
        super().__init__(
            total=len(self._paths),
            pipeline=pipeline,
            on_bad=on_bad,
            max_bad_share=max_bad_share,
            bad_list=bad_list,
        )

    @property
    def metainfo(self) -> dict[str, Any]:
        """``data_root``."""
        return {'data_root': self.data_root}

    def get_data_info(self, index: int) -> dict[str, Any]:
        """``img_path`` and ``sample_idx`` of image ``index``, and ``img_reader``."""
        index %= len(self)
        info: dict[str, Any] = {
            'img_path': self._locate(self._paths[index]),
            'sample_idx': index,
        }
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
            raise ValueError('ImageFolder measures images of n channels: set channels')
        return channel_statistics(
            self._paths,
            self._locate,
            channels=self._reader.channels,
            scale=self._scale,
            axis=self._reader.axis,
            nodata=self._reader.nodata,
            cache=self._kept_list,
        )

    def _locate(self, path: bytes) -> str:
        return os.path.join(self.data_root, os.fsdecode(path))


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

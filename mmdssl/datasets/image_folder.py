"""Pre-training on a folder of photos: nothing but images, in any number and any nesting."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from mmdssl.datasets.base import evenly_spaced
from mmdssl.datasets.channel_images import ChannelImages
from mmdssl.datasets.channels import CHANNEL_EXTENSIONS, Scale
from mmdssl.datasets.decode import IMAGE_EXTENSIONS
from mmdssl.datasets.image_list import ByteStrings, list_file, list_images
from mmdssl.registry import DATASETS

__all__ = ['ImageFolder']


@DATASETS.register_module()
class ImageFolder(ChannelImages):
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
        super().__init__(
            paths=paths if len(chosen) == len(paths) else paths.take(chosen),
            kept_list=list_file(self.data_root, extensions, cache),
            pipeline=pipeline,
            on_bad=on_bad,
            max_bad_share=max_bad_share,
            bad_list=bad_list,
            channels=channels,
            dtype=dtype,
            scale=scale,
            channels_axis=channels_axis,
            nodata=nodata,
        )

    def _locate(self, number: int) -> str:
        return os.path.join(self.data_root, os.fsdecode(self._paths[number]))

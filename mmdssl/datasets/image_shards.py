"""Pre-training on images in tar shards: the samples of an `ImageFolder`, from few large files."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from mmdssl.core.wording import listed, printable
from mmdssl.datasets.base import evenly_spaced
from mmdssl.datasets.channel_images import ChannelImages
from mmdssl.datasets.channels import Scale
from mmdssl.datasets.image_list import list_file
from mmdssl.datasets.shards.files import LocalShards, shard_files
from mmdssl.datasets.shards.index import ShardedImage, ShardIndex
from mmdssl.registry import DATASETS

__all__ = ['ImageShards']


@DATASETS.register_module()
class ImageShards(ChannelImages):
    """All images of a folder of shards, without labels, as ``mmdssl shards make`` wrote them.

    Same images, same order, same numbers as the `ImageFolder` of the folder they were made of, so
    that shuffling, resuming and several processes do the same. A sample's results dict holds
    ``img_path`` (the folder of the shards and the name of the image), ``sample_idx``, and
    ``img_source``, from which `LoadImage` reads.

    Args:
        data_root: The folder of the shards, or a place that fsspec reads (``s3://bucket/shards``).
        pipeline: Transforms, as configs or callables.
        cache: Where copies of remote shards are kept: True in the user's cache folder, a path in
            that folder; False: only the bytes of each image are read, each time.
        cache_gb: Most gigabytes of copies; of shards beyond, each image is read where it is. None:
            copies of all.
        max_images: Use only so many images, evenly spaced over the list. None: all.
        on_bad: ``'replace'`` an unreadable image by another one, or ``'raise'``.
        max_bad_share: Share of unreadable images, 0..1, above which the run ends with an error.
        bad_list: File that lists unreadable images; None: one in the folder for temporary files.
        channels: Images have so many channels; see `ImageFolder`, also for ``dtype``, ``scale``,
            ``channels_axis`` and ``nodata``.

    Raises:
        FileNotFoundError: There is no index, or it names shards that are not there.
        ModuleNotFoundError: ``data_root`` is a remote place and fsspec is not installed.
        ValueError: The index is damaged, a shard is shorter than when it was written, or a setting
            makes no sense.
    """

    def __init__(
        self,
        *,
        data_root: str | Path,
        pipeline: Sequence[dict | Callable] = (),
        cache: bool | str | Path = True,
        cache_gb: float | None = None,
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
        self.index = ShardIndex.open(shard_files(data_root, cache=cache, cache_gb=cache_gb))
        self.data_root = self.index.files.root
        _check_files(self.index)
        chosen = evenly_spaced(len(self.index), max_images)
        names, every = self.index.names, len(chosen) == len(self.index)
        self._chosen = None if every else chosen
        super().__init__(
            paths=names if every else names.take(chosen),
            kept_list=list_file(self.data_root, ['sharded'], True),
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

    def _locate(self, number: int) -> ShardedImage:
        return self.index.image(number if self._chosen is None else int(self._chosen[number]))


def _check_files(index: ShardIndex) -> None:
    """Every local shard has its length; remote ones show when they are read."""
    if not isinstance(index.files, LocalShards):
        return
    lengths = [index.files.size(os.fsdecode(shard)) for shard in index.shards]
    wrong = [
        printable(shard)
        for shard, length, written in zip(
            index.shards, lengths, index.lengths.tolist(), strict=True
        )
        if length is None or length < written
    ]
    if not wrong:
        return
    missing = sum(length is None for length in lengths)
    what = f'{missing} of them are not there' if missing else 'they are cut short'
    sentence = (
        f'{len(wrong)} of {len(lengths)} shards of {printable(index.files.root)} cannot be used, '
        f'{what} ({listed(wrong, 3)}): copy them again; mmdssl shards check looks into every one'
    )
    raise FileNotFoundError(sentence) if missing else ValueError(sentence)

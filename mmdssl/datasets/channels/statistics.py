"""Range, mean and standard deviation of every channel of a folder, over a sample, measured once.

They are kept beside the cached list of the folder's files, under a key of the list, of the
settings, and of size and date of the files looked at, so that changed images are measured anew.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from rich.progress import track

from mmdssl.core.checkpointing import atomic_text
from mmdssl.datasets.base import evenly_spaced
from mmdssl.datasets.channels.files import Axis, read_samples
from mmdssl.datasets.channels.reader import ChannelReader, Scale, valid_samples
from mmdssl.datasets.image_header import ImageDecodeError, Source
from mmdssl.datasets.image_list import ByteStrings

__all__ = ['ChannelStatistics', 'channel_statistics']

_FORMAT = 1
_IMAGES, _SIDE = 256, 64  # looked at; of each an even grid of at most so many pixels a side
#: What lies beyond is clipped: hot pixels, saturated roofs.
_PERCENTILES = (0.1, 99.9)
# Of 0..255. A channel that hardly changes would be nothing but amplified noise.
_LEAST_STD = 2.0


@dataclass(frozen=True)
class ChannelStatistics:
    """Of a folder of images.

    Attributes:
        scale: (low, high) of each channel, which become 0 and 1.
        mean: Of each channel, that range being 0..255.
        std: Of each channel, in the same unit, at least 2.
        images: So many were looked at.
        dtype: Sample types of the files, like ``'uint16'``.
    """

    scale: tuple[tuple[float, float], ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    images: int
    dtype: str

    def __str__(self) -> str:
        ranges = ', '.join(f'{low:.4g}..{high:.4g}' for low, high in self.scale)
        means = ', '.join(f'{mean:.0f}' for mean in self.mean)
        stds = ', '.join(f'{std:.0f}' for std in self.std)
        return (
            f'samples of {self.dtype}; by {self.images} images {ranges} become 0..255, with mean '
            f'{means} and std {stds}'
        )


def channel_statistics(
    paths: ByteStrings,
    locate: Callable[[int], Source],
    *,
    channels: int,
    scale: Scale | None = None,
    axis: Axis = None,
    nodata: float | None = None,
    cache: Path | None,
) -> ChannelStatistics:
    """Measure the channels of a folder, or take what was measured before.

    Args:
        paths: The list of images.
        locate: From a place in the list to what the image is read from.
        channels: See `ChannelReader`, as for ``axis`` and ``nodata``.
        scale: None: samples of 8 bits have the range 0..255, others that of their 0.1st to 99.9th
            percentile, channel by channel.
        cache: The kept list, beside which the statistics are kept; None: nowhere.

    Raises:
        ValueError: None of the images looked at can be read.
        ModuleNotFoundError: A package that reads them is not installed.
    """
    chosen = [locate(number) for number in evenly_spaced(len(paths), _IMAGES).tolist()]
    key = _key(paths, chosen, (channels, repr(scale), axis, nodata))
    file = None if cache is None else cache.with_name(f'{cache.stem[:16]}-channels-{key[:16]}.json')
    found = None if file is None else _load(file, key)
    if found is None:
        found = _measured(chosen, channels, scale, axis, nodata)
        if file is not None:
            _save(file, key, found)
    return found


def _measured(
    files: list[Source], channels: int, scale: Scale | None, axis: Axis, nodata: float | None
) -> ChannelStatistics:
    values: list[list[npt.NDArray[Any]]] = [[] for _ in range(channels)]
    types: set[str] = set()
    count, first = 0, None
    told = track(files, 'statistics of the channels', transient=True, disable=not is_main_process())
    for file in told:
        try:
            samples = read_samples(file, channels, axis)
        except ImageDecodeError as error:
            first = first or error
            continue
        count += 1
        types.add(str(samples.values.dtype))
        rows, columns = (max(-(-side // _SIDE), 1) for side in samples.values.shape[:2])
        part = samples.values[::rows, ::columns]
        valid = valid_samples(part, samples.nodata, nodata)
        for channel, kept in enumerate(values):
            one = part[..., channel]
            kept.append((one if valid is None else one[valid[..., channel]]).ravel())
    if not count:
        raise ValueError(
            f'none of the {len(files)} images looked at can be read; the first: {first}'
        )
    joined = [np.concatenate(kept).astype(np.float64) for kept in values]
    if scale is not None:
        pairs = ChannelReader(channels=channels, scale=scale).limits
    elif types == {'uint8'}:
        pairs = ((0.0, 255.0),) * channels
    else:
        pairs = tuple(_range(one) for one in joined)
    units = [
        255 * np.clip((one - low) / (high - low), 0, 1) if len(one) else np.zeros(1)
        for one, (low, high) in zip(joined, pairs, strict=True)
    ]
    return ChannelStatistics(
        scale=pairs,
        mean=tuple(float(round(unit.mean(), 3)) for unit in units),
        std=tuple(float(max(round(unit.std(), 3), _LEAST_STD)) for unit in units),
        images=count,
        dtype=' and '.join(sorted(types)),
    )


def _range(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Low and high of a channel; of a constant one a range of 1 above it."""
    if not len(values):
        return 0.0, 1.0
    low, high = (float(f'{value:.6g}') for value in np.percentile(values, _PERCENTILES))
    return (low, high) if low < high else (low, low + 1)


def _key(paths: ByteStrings, chosen: list[Source], settings: tuple[Any, ...]) -> str:
    """What statistics belong to."""
    digest = hashlib.sha1(repr((_FORMAT, settings)).encode())
    digest.update(paths.buffer.tobytes() + paths.offsets.tobytes())
    for file in chosen:
        if not isinstance(file, (str, Path)):
            digest.update(repr(file).encode(errors='replace'))  # of a shard: place and check sum
            continue
        try:
            status = os.stat(file)
            digest.update(f'{file} {status.st_size} {status.st_mtime_ns}'.encode(errors='replace'))
        except OSError:  # it is unreadable to the reader, too
            continue
    return digest.hexdigest()


def _load(file: Path, key: str) -> ChannelStatistics | None:
    try:
        kept = json.loads(file.read_text(encoding='utf-8'))
        if kept.pop('key') != key:
            return None
        kept['scale'] = tuple((float(low), float(high)) for low, high in kept['scale'])
        return ChannelStatistics(**{**kept, 'mean': tuple(kept['mean']), 'std': tuple(kept['std'])})
    except FileNotFoundError:
        return None
    # A damaged file is measured anew.
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        print_log(f'the statistics {file} are damaged and made anew: {error}', 'current')
        return None


def _save(file: Path, key: str, statistics: ChannelStatistics) -> None:
    """Several processes may do so at once: each renames a file of its own."""
    try:
        atomic_text(json.dumps({'key': key, **asdict(statistics)}), file)
    except OSError as error:
        print_log(f'the statistics are not kept for the next run: {error}', 'current')

"""An image of n channels as the pipeline takes it: every channel in [0, 1], no holes.

A channel's ``low`` becomes 0 and its ``high`` becomes 1; what lies beyond is clipped. So 12 bits in
a file of 16 use the whole range, and what is done to pixels of photos has a meaning.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mmdssl.datasets.channels.files import Axis, read_samples
from mmdssl.datasets.image_header import ImageDecodeError, Source

__all__ = ['ChannelReader', 'Scale', 'valid_samples']

#: The value that becomes 1 (0 stays 0), a pair of those that become 0 and 1, or a pair a channel.
Scale = float | Sequence[float] | Sequence[Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class ChannelReader:
    """Reads images of a fixed number of channels.

    Args:
        channels: Of every image.
        scale: See `Scale`.
        dtype: What comes out: ``'float32'`` in [0, 1], or ``'uint8'`` in 0..255: 256 steps between
            ``low`` and ``high``, for a quarter of the memory.
        axis: ``'first'`` or ``'last'``: where the channels stand in the arrays; None: on the axis
            that has so many.
        nodata: A value that stands for none, beside NaN, infinity and what a GeoTIFF itself names.

    Raises:
        ValueError: A setting makes no sense.
    """

    channels: int
    scale: Scale
    dtype: Literal['float32', 'uint8'] = 'float32'
    axis: Axis = None
    nodata: float | None = None
    #: (low, high) of each channel.
    limits: tuple[tuple[float, float], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.channels, bool) or not isinstance(self.channels, int):
            raise ValueError(f'channels={self.channels!r}: give the number of channels')
        if self.channels < 1:
            raise ValueError(f'channels={self.channels}: give at least 1')
        if self.dtype not in ('float32', 'uint8'):
            raise ValueError(f"dtype={self.dtype!r}: samples are made 'float32' or 'uint8'")
        if self.axis not in (None, 'first', 'last'):
            raise ValueError(f"channels_axis={self.axis!r}: give 'first', 'last' or None")
        object.__setattr__(self, 'limits', _pairs(self.scale, self.channels))

    @property
    def settings(self) -> dict[str, Any]:
        """What `LoadImage` takes to read the same."""
        return dict(
            channels=self.channels,
            scale=[list(pair) for pair in self.limits],
            dtype=self.dtype,
            channels_axis=self.axis,
            nodata=self.nodata,
        )

    def __call__(self, source: Source) -> npt.NDArray[Any]:
        """An image (H, W, C), contiguous; pixels without a value have the mean of the others.

        Raises:
            ImageDecodeError: It cannot be read, has another number of channels, or no valid pixel.
            ModuleNotFoundError: A package that reads it is not installed.
        """
        found = read_samples(source, self.channels, self.axis)
        valid = valid_samples(found.values, found.nodata, self.nodata)
        limits = np.asarray(self.limits)  # (C, 2)
        low, width = limits[:, 0], limits[:, 1] - limits[:, 0]
        # Wide numbers lose their differences in float32: a height of 4,000,000.25.
        exact = found.values.dtype.itemsize <= 2
        wide = found.values.astype(np.float32 if exact else np.float64)
        image = ((wide - low.astype(wide.dtype)) / width.astype(wide.dtype)).astype(np.float32)
        if valid is not None:
            if not valid.any():
                name = str(getattr(source, 'path', source))
                raise ImageDecodeError(name, 'none of its samples has a value')
            _fill(image, valid)
        np.clip(image, 0, 1, out=image)
        if self.dtype == 'uint8':
            return np.ascontiguousarray((image * 255 + 0.5).astype(np.uint8))
        return np.ascontiguousarray(image)


def valid_samples(values: npt.NDArray[Any], *nodata: float | None) -> npt.NDArray[np.bool_] | None:
    """Which samples (H, W, C) have a value; None: all.

    Args:
        values: Samples in the type of the file.
        nodata: Values that stand for none.
    """
    valid = np.isfinite(values) if values.dtype.kind == 'f' else np.ones(values.shape, bool)
    for value in nodata:
        if value is not None and np.isfinite(value):
            # As the file's own type holds it: -3.4e38 of a float32 is another number in float64.
            with np.errstate(over='ignore'):
                own = np.asarray(value).astype(values.dtype)
            if values.dtype.kind == 'f' or float(own) == value:
                valid &= values != own
    return None if valid.all() else valid


def _fill(image: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_]) -> None:
    """Put the mean of a channel's valid samples where there is none, in place; 0 without any."""
    clipped = np.clip(np.where(valid, image, 0), 0, 1)
    mean = clipped.sum((0, 1), dtype=np.float64) / np.maximum(valid.sum((0, 1)), 1)  # (C,)
    np.copyto(image, mean.astype(np.float32), where=~valid)


def _pairs(scale: Scale, channels: int) -> tuple[tuple[float, float], ...]:
    """(low, high) of each channel.

    Raises:
        ValueError: It is of no such form, or a range is empty.
    """
    try:
        values = np.asarray(scale, np.float64)
    except (TypeError, ValueError):
        values = np.empty((0, 0, 0))
    if values.shape == ():
        values = np.array([0.0, float(values)])
    if values.shape == (2,):
        values = np.tile(values, (channels, 1))
    empty = values.shape == (channels, 2) and not (values[:, 0] < values[:, 1]).all()
    if values.shape != (channels, 2) or empty or not np.isfinite(values).all():
        raise ValueError(
            f'scale={scale!r}: give the value that becomes white, a pair (low, high) with low < '
            f'high, or such a pair for each of the {channels} channels'
        )
    return tuple((float(low), float(high)) for low, high in values)

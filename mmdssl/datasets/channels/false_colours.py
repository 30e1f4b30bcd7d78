"""An image of n channels as a picture of three, for eyes and for what was made for photos.

Without other wish the picture holds the first three principal components of the image x, in [0, 1]
by the range of each channel. The components v_1, v_2, v_3 (unit vectors, of the largest variances)
become brightness and two opponent colours,

    RGB = sqrt(3 / C) (e_1 (v_1 x - b) + e_2 v_2 (x - m) + e_3 v_3 (x - m))

with e_1 = (1, 1, 1) / sqrt(3), e_2, e_3 orthogonal to it, m the mean of the image and b the least
that v_1 x can be. Up to the components that are left out, and to what is clipped at 0 and 1, this
is a rotation: pixels differ in the picture as they do in the image, so that a segmentation by
colour means what it does in a photo. No range is stretched to the image at hand, which would turn
the noise of a dull one into colours; n equal channels give the grey photo they are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mmdssl.datasets.channels.files import samples_shape
from mmdssl.datasets.channels.reader import ChannelReader
from mmdssl.datasets.image_header import Source

__all__ = ['FalseColours', 'false_colours']

# Brightness, red against green, yellow against blue: rows of a rotation.
_OPPONENTS = np.array([[1, 1, 1], [1, -1, 0], [1, 1, -2]]) / np.sqrt([[3], [2], [6]])
# Variance, of a range of 1, with which grey wins where nothing else has any.
_GREY = 1e-7


def false_colours(
    image: npt.NDArray[Any], colours: Sequence[int] | None = None
) -> npt.NDArray[np.uint8]:
    """An image (H, W, C), uint8 or floating point in [0, 1], as a picture (H, W, 3) uint8.

    Args:
        image: One channel becomes grey; three stay as they are.
        colours: The channels, counted from 1, that are shown as red, green and blue; None:
            principal components, see the module.

    Raises:
        ValueError: ``colours`` are no three channels of the image.
    """
    channels = image.shape[2]
    if colours is not None:
        picture = image[..., [one - 1 for one in _checked(colours, channels)]]
    elif channels == 1:
        picture = np.repeat(image, 3, axis=2)
    elif channels == 3:
        picture = image
    else:
        picture = _components(image)
    if picture.dtype != np.uint8:
        picture = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    return np.ascontiguousarray(picture)


@dataclass(frozen=True, kw_only=True)
class FalseColours:
    """Reads images of n channels as pictures.

    Args:
        reader: Of the images.
        colours: See `false_colours`.

    Raises:
        ValueError: ``colours`` are no three of the channels.
    """

    reader: ChannelReader
    colours: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.colours is not None:
            _checked(self.colours, self.reader.channels)

    def __call__(self, source: Source) -> npt.NDArray[np.uint8]:
        """A picture (H, W, 3) RGB; see `ChannelReader` for what is raised."""
        return false_colours(self.reader(source), self.colours)

    def shape(self, source: Source) -> tuple[int, int] | None:
        """Height and width of an image by its header; None where it is unreadable."""
        return samples_shape(source, self.reader.channels, self.reader.axis)

    def parameters(self) -> dict[str, Any]:
        """All that the pictures depend on, as numbers, strings and lists of these."""
        return dict(
            channels=self.reader.channels,
            channel_range=[list(pair) for pair in self.reader.limits],
            channels_axis=self.reader.axis,
            nodata=self.reader.nodata,
            colours=None if self.colours is None else list(self.colours),
        )

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> 'FalseColours | None':
        """From what `parameters` gives, or its first two; None: they are of photos."""
        if parameters.get('channels') is None or parameters.get('channel_range') is None:
            return None
        colours = parameters.get('colours')
        return cls(
            reader=ChannelReader(
                channels=parameters['channels'],
                scale=parameters['channel_range'],
                axis=parameters.get('channels_axis'),
                nodata=parameters.get('nodata'),
            ),
            colours=None if colours is None else tuple(colours),
        )


def _checked(colours: Sequence[int], channels: int) -> Sequence[int]:
    whole = all(isinstance(one, int) and 1 <= one <= channels for one in colours)
    if len(colours) != 3 or not whole:
        raise ValueError(
            f'colours={",".join(map(str, colours))}: give the three channels that are shown as '
            f'red, green and blue, each from 1 to {channels}'
        )
    return colours


def _components(image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Principal components as colours (H, W, 3); see the module.

    Sums run in one order whatever the number of threads, so that a picture is the same everywhere.
    """
    channels = image.shape[2]
    unit = 255.0 if image.dtype == np.uint8 else 1.0
    planes = [np.asarray(image[..., c], np.float32) / np.float32(unit) for c in range(channels)]
    means = np.array([plane.mean(dtype=np.float64) for plane in planes])
    centred = [plane - np.float32(mean) for plane, mean in zip(planes, means, strict=True)]
    covariance = np.full((channels, channels), _GREY)
    for first in range(channels):
        for second in range(first, channels):
            value = (centred[first] * centred[second]).mean(dtype=np.float64)
            covariance[first, second] += value
            covariance[second, first] = covariance[first, second]
    axes = np.linalg.eigh(covariance)[1].T[::-1][:3]  # (k, C), the largest variance first
    # Either sign would do: the largest loading, the first of equal ones, is positive.
    largest = np.abs(axes).round(6).argmax(axis=1)
    axes = axes * np.sign(axes[np.arange(len(axes)), largest])[:, None]
    matrix = math.sqrt(3 / channels) * axes.T @ _OPPONENTS[: len(axes)]  # (C, 3)
    start = axes @ means  # (k,)
    start[0] = np.minimum(axes[0], 0).sum()
    picture = np.zeros((*image.shape[:2], 3), np.float32)
    picture -= (math.sqrt(3 / channels) * start @ _OPPONENTS[: len(axes)]).astype(np.float32)
    for plane, weights in zip(planes, matrix.astype(np.float32), strict=True):
        picture += plane[..., None] * weights
    return picture

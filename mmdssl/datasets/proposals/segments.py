"""What selective search knows of a segment: its extent, its size, its colours and its texture.

All segments are described at once, by counting over the whole picture, instead of one after the
other with a mask each. The descriptors are those of the pure-Python search that SoCo ran
("selectivesearch"), quirks included, because another descriptor gives other boxes:

- The 25-bin histograms of hue, saturation and value all span 0..255, but hue and saturation lie in
  0..1: each fills its first bin only and never tells segments apart. Value, the brightest of the
  three channels, does all of the work.
- Texture is the histogram, in 10 bins, of local binary pattern codes 0..255 of red, green and
  blue, where the paper takes Gaussian derivatives.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmdssl.datasets.proposals.binary_patterns import binary_patterns

__all__ = ['Segments', 'describe_segments', 'felzenszwalb_segments']

_COLOUR_BINS, _TEXTURE_BINS = 25, 10


def _bins_of_levels(bins: int) -> npt.NDArray[np.int64]:
    """(256,) the bin of each level 0..255 in a histogram over 0..255, its right end included."""
    edges = np.linspace(0, 255, bins + 1)
    return np.minimum(np.searchsorted(edges, np.arange(256), 'right') - 1, bins - 1)


_COLOUR_BIN, _TEXTURE_BIN = _bins_of_levels(_COLOUR_BINS), _bins_of_levels(_TEXTURE_BINS)


@dataclass(frozen=True)
class Segments:
    """N segments, in the order in which a scan of the picture, row by row, first meets them.

    Attributes:
        extent: (N, 4) int64, smallest x, smallest y, largest x, largest y of the pixels.
        size: (N,) int64, pixels.
        colour: (N, 27) float64: the filled bins of hue and saturation, then those of value, each
            as a share of the segment's pixels.
        texture: (N, 30) float64: shares of pixels by pattern code, 10 bins for each of red, green
            and blue.
    """

    extent: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]
    colour: npt.NDArray[np.float64]
    texture: npt.NDArray[np.float64]


def felzenszwalb_segments(
    image: npt.NDArray[np.uint8], *, scale: float, sigma: float, min_size: int
) -> npt.NDArray[np.int64]:
    """Over-segmentation of Felzenszwalb and Huttenlocher (2004), label for label scikit-image's.

    Args:
        image: (H, W, 3) uint8 RGB.
        scale: The larger, the larger the segments.
        sigma: Width of the Gaussian that smooths the picture first, in pixels.
        min_size: Smallest segment in pixels.

    Returns:
        (H, W) int64, labels 0..N-1.

    Raises:
        ModuleNotFoundError: Numba is not installed.
    """
    try:  # imported late: loading boxes needs none of it
        from mmdssl.datasets.proposals.graph_segmentation import graph_segments
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'selective search needs {error.name}: pip install {error.name}'
        ) from error
    return graph_segments(image, scale=scale, sigma=sigma, min_size=min_size)


def describe_segments(image: npt.NDArray[np.uint8], labels: npt.NDArray) -> Segments:
    """Describe every segment of a picture.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) integers, one number per segment.

    Returns:
        The segments.

    Raises:
        ValueError: Picture and labels do not fit each other.
    """
    height, width = image.shape[:2]
    if labels.shape != (height, width):
        raise ValueError(
            f'the segment map has {labels.shape[0]} x {labels.shape[1]} pixels, the picture '
            f'{height} x {width}: use the map of this picture'
        )
    index, count = _number_by_appearance(labels)
    size = np.bincount(index.ravel(), minlength=count)
    brightest = np.maximum(np.maximum(image[..., 0], image[..., 1]), image[..., 2])
    value = _histograms(index, count, _COLOUR_BIN[brightest], _COLOUR_BINS)
    textures = [
        _histograms(index, count, _TEXTURE_BIN[binary_patterns(image[..., c])], _TEXTURE_BINS)
        for c in range(3)
    ]
    return Segments(
        extent=_extents(index, count),
        size=size,
        colour=np.hstack([np.ones((count, 2)), value / size[:, None]]),
        texture=np.hstack(textures) / size[:, None],
    )


def _histograms(
    index: npt.NDArray[np.int64], count: int, bins: npt.NDArray[np.int64], num_bins: int
) -> npt.NDArray[np.int64]:
    """(N, K) histograms of all segments: one count over (segment, bin) pairs."""
    pairs = index * num_bins + bins
    return np.bincount(pairs.ravel(), minlength=count * num_bins).reshape(count, num_bins)


def _number_by_appearance(labels: npt.NDArray) -> tuple[npt.NDArray[np.int64], int]:
    """Labels 0..N-1 in the order of their first pixels, and N."""
    flat: npt.NDArray[np.int64] = labels.ravel().astype(np.int64)
    low, high = int(flat.min()), int(flat.max())
    if high - low >= flat.size:  # far apart numbers: a table of all of them could be huge
        flat = np.unique(flat, return_inverse=True)[1].astype(np.int64)
        low, high = 0, int(flat.max())
    # Written backwards, the first pixel of a segment is the one that stays.
    first = np.full(high - low + 1, flat.size, np.int64)
    first[flat[::-1] - low] = np.arange(flat.size)[::-1]
    order = np.argsort(first, kind='stable')
    number = np.empty_like(order)
    number[order] = np.arange(len(order))
    count = int((first < flat.size).sum())
    return number[flat - low].reshape(labels.shape), count


def _extents(index: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """(N, 4) smallest x, smallest y, largest x, largest y of each segment."""
    height, width = index.shape
    result = np.empty((count, 4), np.int64)
    places = (np.arange(width)[None, :], width, 0), (np.arange(height)[:, None], height, 1)
    for place, length, column in places:
        hits = np.bincount((index * length + place).ravel(), minlength=count * length)
        present = hits.reshape(count, length) > 0
        result[:, column] = present.argmax(axis=1)
        result[:, column + 2] = length - 1 - present[:, ::-1].argmax(axis=1)
    return result

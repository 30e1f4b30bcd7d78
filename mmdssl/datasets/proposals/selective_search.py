"""Selective search: segments are merged, the most similar pair first, and every stage is a box.

Uijlings et al., "Selective Search for Object Recognition" (IJCV 2013), in the pure-Python form that
SoCo (NeurIPS 2021) made its proposals with. The similarity of two regions a, b of a picture of S
pixels is

    sum_k min(colour_a, colour_b) + sum_k min(texture_a, texture_b)
        + (1 - (|a| + |b|) / S) + (1 - (box(a, b) - |a| - |b|) / S)

with box(a, b) the area of their common box. Histograms of a merged region are the averages of both,
weighted by size.

Results equal that form's to the last box, which asks for care in three places:

- A box is x, y, w, h with w = largest x - smallest x: one pixel less than it covers.
- Neighbours are pairs in which a corner of the later segment's box lies strictly inside the earlier
  one's box: no common border needed, and a box that encloses another one is none of its neighbours
  if it comes later.
- Of equally similar pairs the one noted last is merged, and sums run over bins one by one.
"""

# The cost is another: one list of pairs in arrays, searched and updated as a whole, in place of a
# dict that is sorted at every step.

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmdssl.datasets.proposals.segments import (
    Segments,
    describe_segments,
    felzenszwalb_segments,
)

__all__ = ['Regions', 'merge_segments', 'selective_search']


_ROWS = 512  # of the table of neighbours at a time


@dataclass(frozen=True)
class Regions:
    """All regions of a search: the segments first, then every merged one in order.

    Attributes:
        boxes: (M, 4) int64 x, y, w, h in pixels with w = largest x - smallest x; a box may occur
            several times.
        size: (M,) int64, pixels of the regions.
        num_segments: How many of them are segments.
    """

    boxes: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]
    num_segments: int


def selective_search(
    image: npt.NDArray[np.uint8],
    *,
    scale: float = 300.0,
    sigma: float = 0.9,
    min_size: int = 100,
    labels: npt.NDArray | None = None,
) -> Regions:
    """Search a picture for regions that may be objects.

    Args:
        image: (H, W, 3) uint8 RGB.
        scale: Felzenszwalb's scale; the larger, the larger the segments.
        sigma: Width of the Gaussian that smooths the picture before it is segmented, in pixels.
        min_size: Smallest segment in pixels.
        labels: (H, W) integers, a segmentation to begin with. None: Felzenszwalb's.

    Returns:
        The regions.

    Raises:
        ValueError: The image is no (H, W, 3) uint8 array, or the labels do not fit it.
        ModuleNotFoundError: Numba is not installed.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(
            f'selective search needs an RGB image (H, W, 3) uint8, got {image.shape} {image.dtype}'
        )
    if labels is None:
        labels = felzenszwalb_segments(image, scale=scale, sigma=sigma, min_size=min_size)
    segments = describe_segments(image, labels)
    return merge_segments(segments, image_size=image.shape[0] * image.shape[1])


def merge_segments(segments: Segments, *, image_size: int) -> Regions:
    """Merge the most similar neighbours until none are left.

    Args:
        segments: The segments of a picture.
        image_size: Pixels of the picture.

    Returns:
        Segments and merged regions. Parts of a picture without neighbours stay apart.
    """
    table = _RegionTable(segments, image_size)
    first, second = _neighbours(segments.extent)
    similarity = table.similarity(first, second)
    while len(first):
        # The last one of equally similar pairs.
        best = len(similarity) - 1 - int(similarity[::-1].argmax())
        a, b = int(first[best]), int(second[best])
        merged = table.merge(a, b)
        holds = (first == a) | (second == a) | (first == b) | (second == b)
        # The other side of every pair that ends; the pair itself is told by its other side
        # being a or b again. A dict keeps the first of two notes of the same neighbour.
        left, right = first[holds], second[holds]
        others = np.where((left == a) | (left == b), right, left).tolist()
        met = dict.fromkeys(others)
        met.pop(a, None)
        met.pop(b, None)
        new_second = np.fromiter(met, np.int64, len(met))
        new_first = np.full(len(met), merged, np.int64)
        kept = ~holds
        first = np.concatenate([first[kept], new_first])
        second = np.concatenate([second[kept], new_second])
        added = table.similarity(new_first, new_second)
        similarity = np.concatenate([similarity[kept], added])
    return table.regions()


def _neighbours(extent: npt.NDArray[np.int64]) -> tuple[npt.NDArray, npt.NDArray]:
    """Index pairs (P,), (P,) with first < second: a corner of the second lies in the first."""
    left, top, right, bottom = extent.T
    pairs = []
    for start in range(0, len(extent), _ROWS):  # in blocks: memory grows with N, not with N^2
        rows = slice(start, start + _ROWS)

        def inside(
            low: npt.NDArray, place: npt.NDArray, high: npt.NDArray, rows: slice = rows
        ) -> npt.NDArray[np.bool_]:
            return (low[rows, None] < place) & (place < high[rows, None])

        # All four pairs of an x and a y side are corners: some x and some y inside is enough.
        in_x = inside(left, left, right) | inside(left, right, right)
        in_y = inside(top, top, bottom) | inside(top, bottom, bottom)
        first, second = np.nonzero(np.triu(in_x & in_y, k=start + 1))
        pairs.append((first + start, second))
    firsts, seconds = zip(*pairs, strict=True)
    return np.concatenate(firsts), np.concatenate(seconds)


class _RegionTable:
    """Descriptors of all regions in arrays with room for every merge.

    Args:
        segments: The first N rows.
        image_size: Pixels of the picture.
    """

    def __init__(self, segments: Segments, image_size: int) -> None:
        self._num_segments = self._count = count = len(segments.size)
        self._image_size = image_size
        room = 2 * count - 1  # N segments allow N - 1 merges
        # Bins that no segment fills stay empty, and adding 0 changes no sum.
        colour = segments.colour[:, segments.colour.any(axis=0)]
        texture = segments.texture[:, segments.texture.any(axis=0)]
        self._split = colour.shape[1]
        self._histograms = np.zeros((room, self._split + texture.shape[1]))
        self._histograms[:count] = np.hstack([colour, texture])
        self._extent = np.zeros((room, 4), np.int64)
        self._extent[:count] = segments.extent
        self._size = np.zeros(room, np.int64)
        self._size[:count] = segments.size

    def similarity(self, first: npt.NDArray, second: npt.NDArray) -> npt.NDArray[np.float64]:
        """Similarities (P,) of pairs of regions; see the module."""
        common = np.minimum(self._histograms[first], self._histograms[second])
        colour = _sum_in_order(common[:, : self._split])
        texture = _sum_in_order(common[:, self._split :])
        sizes = self._size[first] + self._size[second]
        low = np.minimum(self._extent[first, :2], self._extent[second, :2])
        high = np.maximum(self._extent[first, 2:], self._extent[second, 2:])
        area = np.prod(high - low, axis=1)
        fill = 1.0 - (area - sizes) / self._image_size
        return colour + texture + (1.0 - sizes / self._image_size) + fill

    def merge(self, a: int, b: int) -> int:
        """Add the union of two regions; its number."""
        new = self._count
        self._count += 1
        size_a, size_b = self._size[a], self._size[b]
        size = size_a + size_b
        self._size[new] = size
        self._histograms[new] = (self._histograms[a] * size_a + self._histograms[b] * size_b) / size
        self._extent[new, :2] = np.minimum(self._extent[a, :2], self._extent[b, :2])
        self._extent[new, 2:] = np.maximum(self._extent[a, 2:], self._extent[b, 2:])
        return new

    def regions(self) -> Regions:
        """Everything found so far."""
        extent = self._extent[: self._count]
        boxes = np.hstack([extent[:, :2], extent[:, 2:] - extent[:, :2]])
        return Regions(boxes, self._size[: self._count].copy(), self._num_segments)


def _sum_in_order(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Sums of rows (P, K) -> (P,), bin after bin; NumPy's own sum pairs the bins up."""
    if not values.shape[1]:
        return np.zeros(len(values))
    return np.add.accumulate(values, axis=1)[:, -1]

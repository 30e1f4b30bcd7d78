"""Felzenszwalb's segmentation, label for label as scikit-image gives it.

Felzenszwalb and Huttenlocher, "Efficient Graph-Based Image Segmentation" (IJCV 2004): pixels are
nodes, the edges to the eight neighbours weigh the distance of their colours, and in the order of
their weights the edges join two segments where the weight is below

    min(w_a + scale / |a|, w_b + scale / |b|)

with w the heaviest edge inside a segment. A second pass over the edges joins what is too small.
What is compiled is compiled by Numba, once per machine.
"""

# Half the time of scikit-image, which walks twice through all edges, and each time looks up the
# segments of both ends: here the second pass sees only the edges between two segments, a few
# percent of them, and the arrays are half as wide.

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.ndimage import gaussian_filter

__all__ = ['graph_segments']


def graph_segments(
    image: npt.NDArray[np.uint8], *, scale: float, sigma: float, min_size: int
) -> npt.NDArray[np.int64]:
    """Segment a picture.

    Args:
        image: (H, W, 3) uint8 RGB of less than 2^31 pixels.
        scale: The larger, the larger the segments; for colours 0..255.
        sigma: Width of the Gaussian that smooths the picture first, in pixels.
        min_size: Smallest segment in pixels.

    Returns:
        (H, W) int64, labels 0..N-1 by the first pixel of each segment, row by row.
    """
    height, width = image.shape[:2]
    smooth = gaussian_filter(image / 255.0, sigma=[sigma, sigma, 0])
    pixel = np.arange(height * width, dtype=np.int32).reshape(height, width)
    right, left = np.s_[:, 1:], np.s_[:, :-1]
    lower, upper = np.s_[1:, :], np.s_[:-1, :]
    # Right, down, down and right, up and right: the order decides between equal weights.
    ends = [
        (pixel[right], pixel[left]),
        (pixel[lower], pixel[upper]),
        (pixel[1:, 1:], pixel[:-1, :-1]),
        (pixel[1:, :-1], pixel[:-1, 1:]),
    ]
    colours = smooth.reshape(-1, 3)
    first = np.concatenate([a.ravel() for a, _ in ends])
    second = np.concatenate([b.ravel() for _, b in ends])
    weights = _distances(colours, first, second)
    order = np.argsort(weights)
    root = _join(first, second, weights, order, scale / 255.0, min_size, height * width)
    number = np.cumsum(root == np.arange(height * width)) - 1
    return number[root].reshape(height, width)


@njit(cache=True)
def _distances(
    colours: npt.NDArray[np.float64], first: npt.NDArray[np.int32], second: npt.NDArray[np.int32]
) -> npt.NDArray[np.float64]:
    """(E,) Euclidean distances of the colours (P, 3) of both ends."""
    result = np.empty(len(first))
    for edge in range(len(first)):
        a, b = first[edge], second[edge]
        red = colours[a, 0] - colours[b, 0]
        green = colours[a, 1] - colours[b, 1]
        blue = colours[a, 2] - colours[b, 2]
        result[edge] = np.sqrt(red * red + green * green + blue * blue)
    return result


@njit(cache=True)
def _root(parent: npt.NDArray[np.int32], pixel: int) -> int:
    """The smallest pixel of a segment; shortens the way to it."""
    while parent[pixel] != pixel:
        parent[pixel] = parent[parent[pixel]]
        pixel = parent[pixel]
    return pixel


@njit(cache=True)
def _join(
    first: npt.NDArray[np.int32],
    second: npt.NDArray[np.int32],
    weights: npt.NDArray[np.float64],
    order: npt.NDArray[np.int64],
    scale: float,
    min_size: int,
    pixels: int,
) -> npt.NDArray[np.int32]:
    """(P,) the smallest pixel of the segment of each pixel, after both passes."""
    parent = np.arange(pixels).astype(np.int32)
    size = np.ones(pixels, np.int32)
    limit = np.full(pixels, scale)  # heaviest edge + scale / size, of roots
    apart = np.empty(len(order), np.int32)
    rejected = 0
    for edge in order:
        a, b = _root(parent, first[edge]), _root(parent, second[edge])
        if a == b:
            continue
        if weights[edge] < min(limit[a], limit[b]):
            low, high = min(a, b), max(a, b)
            parent[high] = low
            size[low] += size[high]
            limit[low] = weights[edge] + scale / size[low]
        else:
            apart[rejected] = edge
            rejected += 1
    for edge in apart[:rejected]:
        a, b = _root(parent, first[edge]), _root(parent, second[edge])
        if a != b and (size[a] < min_size or size[b] < min_size):
            low, high = min(a, b), max(a, b)
            parent[high] = low
            size[low] += size[high]
    for pixel in range(pixels):
        parent[pixel] = parent[parent[pixel]]  # roots come first: their row is flat already
    return parent

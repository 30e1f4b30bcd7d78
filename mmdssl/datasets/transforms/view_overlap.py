"""Which boxes several crops of an image have in common, and where a crop puts them.

Corners are inclusive throughout, as in SoCo (NeurIPS 2021): a proposal of width
w ends at ``x2 = x1 + w - 1``, a crop at ``left + width - 1``. A box is clipped
there but divided by ``width``, hence a box over the whole width ends at
``(width - 1) / width`` of the view.
"""

from collections.abc import Sequence

import numpy as np

__all__ = ['Window', 'common_candidates', 'overlap_region', 'pad_rows', 'view_boxes']

#: A crop: left, top, width, height in whole pixels of the image.
Window = tuple[int, int, int, int]


def overlap_region(windows: Sequence[Window]) -> np.ndarray:
    """What all crops show.

    Args:
        windows: left, top, width, height of each crop, in pixels of the image.

    Returns:
        int64 (4,): x1 y1 x2 y2 with inclusive corners; x1 >= x2 or y1 >= y2 where
        the crops have no area in common.
    """
    crops = np.asarray(windows, np.int64)
    start, size = crops[:, :2], crops[:, 2:]
    return np.concatenate([start.max(axis=0), (start + size - 1).min(axis=0)])


def common_candidates(boxes: np.ndarray, windows: Sequence[Window]) -> np.ndarray:
    """Which boxes reach into every one of the crops at the same place.

    Args:
        boxes: (N, 4) x1 y1 x2 y2 in pixels of the image, inclusive corners.
        windows: left, top, width, height of each crop.

    Returns:
        bool (N,): the box shares an area above zero with the overlap of all crops.
    """
    region = overlap_region(windows)
    near, far = region[:2], region[2:]
    if (near >= far).any():  # else a box around the gap between two crops would count
        return np.zeros(len(boxes), bool)
    start, end = boxes[:, :2], boxes[:, 2:]
    return np.logical_and.reduce((start < far) & (end > near) & (start < end), axis=1)


def view_boxes(
    boxes: np.ndarray,
    window: Window,
    *,
    size: tuple[int, int],
    flip: tuple[bool, bool] = (False, False),
) -> np.ndarray:
    """Boxes of the image in pixels of a view.

    Args:
        boxes: (N, 4) x1 y1 x2 y2 in pixels of the image, inclusive corners.
        window: left, top, width, height of the view's crop.
        size: (height, width) of the view; (1, 1) gives shares of the view.
        flip: whether the view is mirrored horizontally and vertically.

    Returns:
        float64 (N, 4), x1 y1 x2 y2, within [0, (crop side - 1) / crop side] of the
        view before mirroring.
    """
    left, top, width, height = window
    near = np.array([left, top] * 2, np.float64)
    inside = np.clip(boxes, near, near + np.array([width - 1, height - 1] * 2)) - near
    pixels = np.array([size[1], size[0]] * 2)
    moved: np.ndarray = inside / np.array([width, height] * 2) * pixels
    for axis, mirrored in enumerate(flip):
        if mirrored:
            moved[:, axis::2] = pixels[axis] - moved[:, axis::2][:, ::-1]
    return moved


def pad_rows(count: int, total: int, draws: np.ndarray) -> np.ndarray:
    """Rows of ``count`` boxes, repeated at random until there are ``total``.

    Args:
        count: boxes there are, 1 to ``total``.
        total: boxes wanted.
        draws: (total - count,) uniform numbers from [0, 1).

    Returns:
        int64 (total,): 0 .. count - 1, then the repeated ones.
    """
    return np.concatenate([np.arange(count), (draws[: total - count] * count).astype(np.int64)])

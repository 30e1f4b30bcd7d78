"""Outlines of objects as annotation files write them, checked before C code sees them.

COCO's ``segmentation`` is a list of polygons ``[[x0, y0, x1, y1, ...], ...]`` or a run-length code.
pycocotools believes both: a coordinate far away makes it write outside its memory, a code of
another size gives a mask of another place. Unambiguous variants are accepted: one polygon without
the outer list, and points as pairs.
"""

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ['Outline', 'clip_polygon', 'parse_outline']

#: Polygons, each (2 P,) float64 ``x0, y0, x1, y1, ...``, or a compressed run-length code.
Outline = list[npt.NDArray[np.float64]] | bytes
_LEAST = 6  # numbers of a polygon with an area; pycocotools would take four for a box
_FAR = 1e12  # beyond this, differences of coordinates lose the pixel


def parse_outline(value: Any, shape: tuple[int, int]) -> Outline | None:
    """An outline in one form.

    Args:
        value: What the file has under ``segmentation``.
        shape: (height, width) of the image.

    Returns:
        The outline, or None where there is none.

    Raises:
        ValueError: It is none of the known forms, or of another size than the image. The message
            is the end of a sentence that names the entry.
    """
    if value is None:
        return None
    if isinstance(value, dict):
        return _run_lengths(value, shape)
    if not isinstance(value, list):
        raise ValueError(
            f'has a segmentation of type {type(value).__name__}: write a list of polygons or a '
            'run-length code, or leave it out'
        )
    if not value:
        return None
    if _is_number(value[0]) or (
        all(_is_point(part) for part in value) and len(value) * 2 >= _LEAST
    ):
        value = [value]
    polygons = [_polygon(part) for part in value]
    return [polygon for polygon in polygons if len(polygon) >= _LEAST] or None


def _polygon(part: Any) -> npt.NDArray[np.float64]:
    if isinstance(part, list) and part and all(_is_point(point) for point in part):
        part = [number for point in part for number in point]
    try:
        polygon = np.asarray(part, np.float64)
    except (TypeError, ValueError, OverflowError):
        polygon = np.empty((0, 0))
    if polygon.ndim != 1 or not isinstance(part, list):
        raise ValueError(
            f'has a polygon {_short(part)}: write x0, y0, x1, y1, ... as one list of numbers'
        )
    if len(polygon) % 2:
        raise ValueError(f'has a polygon of {len(polygon)} numbers: every point needs an x and a y')
    if not np.isfinite(polygon).all():
        raise ValueError('has a polygon with a coordinate that is no finite number: correct it')
    return polygon


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_point(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_is_number(v) for v in value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f'{text[:36]} ...'


def _run_lengths(code: dict[str, Any], shape: tuple[int, int]) -> bytes:
    """The compressed form of a run-length code whose runs fill the image exactly."""
    size, counts = code.get('size'), code.get('counts')
    if not (isinstance(size, list) and len(size) == 2 and all(type(side) is int for side in size)):
        raise ValueError(f'has a run-length code of size {_short(size)}: write [height, width]')
    if tuple(size) != tuple(shape):
        raise ValueError(
            f'has a mask made on a picture of {size[0]} x {size[1]} (height x width), but its '
            f'image has {shape[0]} x {shape[1]}: bring the mask to the size of the image'
        )
    if isinstance(counts, str):
        counts = counts.encode('ascii', 'replace')
    if isinstance(counts, bytes):
        compressed, runs = counts, _decompress(counts)
    elif isinstance(counts, list) and all(type(run) is int and run >= 0 for run in counts):
        compressed, runs = b'', counts
    else:
        raise ValueError('has a run-length code whose counts are no list and no text: make it anew')
    total = None if runs is None else sum(runs)
    if total != shape[0] * shape[1]:
        found = 'cannot be read' if total is None else f'covers {total} pixels'
        raise ValueError(
            f'has a run-length code that {found}, its image has {shape[0] * shape[1]}: make it anew'
        )
    if compressed:
        return compressed
    from pycocotools import mask as coco_mask  # heavy and optional: only where masks are used

    return bytes(coco_mask.frPyObjects(code, *shape)['counts'])


def _decompress(code: bytes) -> list[int] | None:
    """Runs of a compressed code, None where it is none: 5 bits a letter, differences by twos."""
    letters = np.frombuffer(code, np.uint8).astype(np.int64) - 48
    if not len(letters) or letters.min() < 0 or letters.max() > 63 or letters[-1] & 0x20:
        return None
    ends = np.flatnonzero(letters & 0x20 == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 7:  # 35 bits: no run is as long
        return None
    place = np.arange(len(letters)) - np.repeat(starts, lengths)
    values = np.add.reduceat((letters & 0x1F) << 5 * place, starts)
    values -= np.where(letters[ends] & 0x10, 1 << 5 * lengths, 0)  # the sign bit of the last letter
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return None if (values < 0).any() else values.tolist()


def clip_polygon(
    polygon: npt.NDArray[np.float64], shape: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """A polygon without what lies far outside the image; one that does not is returned as it is.

    What is drawn inside the image stays the same: the polygon is cut (Sutherland and Hodgman, 1974)
    at a frame one image away on every side, not bent.

    Args:
        polygon: (2 P,) ``x0, y0, x1, y1, ...``, finite.
        shape: (height, width) of the image.

    Returns:
        (2 Q,), with fewer than three points where nothing is near.
    """
    height, width = shape
    points = polygon.reshape(-1, 2)
    frame = ((0, -width, 2 * width), (1, -height, 2 * height))
    if all((points[:, a] >= low).all() and (points[:, a] <= high).all() for a, low, high in frame):
        return polygon
    corners = np.clip(points, -_FAR, _FAR)
    for axis, low, high in frame:
        for bound, sign in ((low, 1), (high, -1)):
            corners = _cut(corners, axis, bound, sign)
    return corners.reshape(-1)


def _cut(
    points: npt.NDArray[np.float64], axis: int, bound: float, sign: int
) -> npt.NDArray[np.float64]:
    """The part of a polygon (P, 2) on one side of ``points[:, axis] == bound``."""
    kept: list[Sequence[float] | npt.NDArray[np.float64]] = []
    for one, other in zip(np.roll(points, 1, axis=0), points, strict=True):
        inside = [sign * (point[axis] - bound) >= 0 for point in (one, other)]
        if inside[0] != inside[1]:
            crossing = one + (other - one) * ((bound - one[axis]) / (other[axis] - one[axis]))
            crossing[axis] = bound
            kept.append(crossing)
        if inside[1]:
            kept.append(other)
    return np.asarray(kept, np.float64).reshape(-1, 2)

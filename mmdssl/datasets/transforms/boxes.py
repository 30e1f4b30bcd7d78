"""Boxes that move with the pixels: one affine step, one clip, one rule what is still visible.

Boxes are float32 (N, 4), x1 y1 x2 y2 in pixels of the image they belong to.
Beside each set ``key`` travels ``<key>_ids``, int64 (N,): the row of every box
in the set the image came with. Two views of an image find their common boxes
by it, and whatever is stored per source box (scores, instance masks) stays
reachable after boxes were dropped.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ['BOX_KEYS', 'box_area', 'clip_boxes', 'ids_key', 'move_boxes']

#: Sets of boxes every geometric transform moves unless told otherwise.
BOX_KEYS = ('regions', 'proposals', 'gt_bboxes')

# Arrays with one row per box of a set, filtered with it.
_COMPANIONS = {'gt_bboxes': ('gt_labels', 'gt_index')}


def ids_key(key: str) -> str:
    """Name of the array that holds the ids of the boxes ``key``."""
    return f'{key}_ids'


def box_area(boxes: np.ndarray) -> np.ndarray:
    """Areas (N,) of boxes (N, 4) in square pixels; 0 where a box is turned inside out."""
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1)


def clip_boxes(boxes: np.ndarray, height: float, width: float) -> np.ndarray:
    """Boxes (N, 4) cut at the borders of an image of (height, width) pixels; a new array."""
    far = np.array((width, height, width, height), boxes.dtype)
    return np.minimum(np.maximum(boxes, 0), far)


def move_boxes(
    results: dict[str, Any],
    *,
    keys: Sequence[str],
    scale: tuple[float, float],
    shift: tuple[float, float],
    size: tuple[int, int],
    min_visible: float = 0.0,
    drop_empty: bool = False,
) -> None:
    """Move every box set in ``results`` by ``x -> scale * x + shift`` and clip it to the new image.

    A box is *empty* if nothing of it remains in the image, or a smaller share
    of its area than ``min_visible``. Empty boxes are dropped, together with
    their ids and labels, or kept as (0, 0, 0, 0).

    Replaces the arrays in ``results``, never writes into them.

    Args:
        results: the dict of one image.
        keys: box sets to move; those not in ``results`` are passed over.
        scale: factors (x, y); a negative one mirrors.
        shift: added after scaling (x, y), in pixels of the new image.
        size: (height, width) of the new image.
        min_visible: share of a box's area that has to remain, in [0, 1].
        drop_empty: drop empty boxes instead of keeping them as zeros.

    Raises:
        ValueError: if a box set is not of shape (N, 4).
    """
    for key in keys:
        if key not in results:
            continue
        boxes = np.asarray(results[key], np.float32)
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(
                f'results[{key!r}] has shape {boxes.shape}, boxes are (N, 4): x1 y1 x2 y2 in pixels'
            )
        ids = results.get(ids_key(key))
        if ids is None:
            ids = np.arange(len(boxes))
        # float64 in between, so that a coordinate on the crop's border stays on it
        moved = boxes * np.array(scale * 2) + np.array(shift * 2)
        if scale[0] < 0:
            moved[:, [0, 2]] = moved[:, [2, 0]]
        if scale[1] < 0:
            moved[:, [1, 3]] = moved[:, [3, 1]]
        clipped = clip_boxes(moved, *size)
        visible = box_area(clipped)
        keep = (visible > 0.0) & (visible >= min_visible * box_area(moved) * (1.0 - 1e-6))
        companions = {ids_key(key): ids}
        companions |= {name: results[name] for name in _COMPANIONS.get(key, ()) if name in results}
        if drop_empty:
            clipped = clipped[keep]
            companions = {name: np.asarray(rows)[keep] for name, rows in companions.items()}
        else:
            clipped[~keep] = 0.0
        results[key] = clipped.astype(np.float32)
        results.update(companions)

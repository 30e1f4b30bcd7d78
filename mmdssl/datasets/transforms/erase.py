"""What the erasing transforms of D3SSL share: whole-pixel boxes, and masks that add up.

A mask of these transforms says which pixels of a view become 0 after normalisation.
Several transforms may write the same mask: each adds its own part (PRM after PRC).
"""

from typing import Any

import numpy as np

from mmdssl.datasets.transforms.mask_transform import MaskTransform

__all__ = ['Cells', 'RegionErase', 'box_cells']

#: Left, top, right, bottom of a box in cells of a mask, the last two exclusive.
Cells = tuple[int, int, int, int]


def box_cells(
    boxes: np.ndarray,
    height: int,
    width: int,
    *,
    scale: tuple[float, float] = (1.0, 1.0),
    outward: bool = False,
) -> list[Cells]:
    """The cells of a mask that boxes cover.

    Args:
        boxes: (N, 4) x1 y1 x2 y2, float, in any unit that ``scale`` turns into cells.
        height: rows of the mask.
        width: columns of the mask.
        scale: cells per unit of the boxes (x, y).
        outward: True takes every cell that a box touches; False rounds the corners.

    Returns:
        For each box the half-open cell range it covers, clipped to the mask. A box on the
        mask covers at least one cell; a box without area, or off the mask, none: its range
        is (0, 0, 0, 0).
    """
    far = np.array((width, height, width, height), np.float64)
    corners = np.asarray(boxes, np.float64).reshape(-1, 4) * np.array(scale * 2)
    corners = np.minimum(np.maximum(corners, 0.0), far)
    low, high = corners[:, :2], corners[:, 2:]
    empty = (high <= low).any(axis=1)
    if outward:
        low, high = np.floor(low), np.ceil(high)
    else:
        low = np.minimum(np.rint(low), far[:2] - 1)
        high = np.maximum(np.rint(high), low + 1)
    cells = np.concatenate([low, high], axis=1)
    cells[empty] = 0.0
    return [tuple(row) for row in cells.astype(int).tolist()]


class RegionErase(MaskTransform):
    """A mask transform on the boxes of a view that adds to the mask it finds.

    Args:
        ratio: of :class:`MaskTransform`.
        key: key of ``results`` with the mask, bool (h, w), True = erased; made where it is
            missing, added to where it exists.
        regions_key: key of ``results`` with the boxes, float (N, 4), x1 y1 x2 y2 in pixels.
        **kwargs: ``empty_prob`` (probability to add nothing), ``mask_size``, ``stream`` of
            :class:`MaskTransform`.

    Raises:
        ValueError: for settings out of range, or (when used) for an existing mask of
            another size.
    """

    def __init__(
        self,
        *,
        ratio: float | tuple[float, float],
        key: str = 'erase',
        regions_key: str = 'boxes',
        **kwargs: Any,
    ) -> None:
        super().__init__(ratio=ratio, key=key, regions_key=regions_key, **kwargs)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Adds to ``results[key]``, bool (h, w)."""
        before = results.get(self.key)
        results = super().transform(results)
        if before is not None:
            added = results[self.key]
            if before.shape != added.shape:
                raise ValueError(
                    f'{type(self).__name__}: results[{self.key!r}] has {before.shape} cells, the '
                    f'mask to add to it {added.shape}; give both transforms the same mask_size'
                )
            results[self.key] = before | added
        return results

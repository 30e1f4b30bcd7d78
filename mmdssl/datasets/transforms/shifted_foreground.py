"""What x3 of D3SSL is pasted together from: a shift, and the foreground that moves by it.

D3SSL, Sec. 4.2 (de-positioning), Eq. 6 and 7: all boxes of an image move by one random
vector t that keeps them inside the image; the foreground m is the union of the boxes, and
m^ = PRC(m + t, boxes + t) is what of it is pasted onto another image. The worker draws t
and m^; the pixels are put together on the device
(:func:`mmdssl.models.utils.composition.paste_shifted`).

The paper does not say how t is distributed: whole pixels, uniform over all vectors that
keep the boxes inside.
"""

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmdssl.datasets.transforms.erase import box_cells
from mmdssl.datasets.transforms.proposal_random_cutout import ProposalRandomCutout
from mmdssl.datasets.transforms.random_streams import random_source
from mmdssl.registry import TRANSFORMS

__all__ = ['ShiftedForeground']


@TRANSFORMS.register_module()
class ShiftedForeground(BaseTransform):
    """Draws the shift of a view's boxes and the mask of what is pasted there.

    Reads ``results['boxes']``, float (N, 4), x1 y1 x2 y2 in pixels of the view. Writes
    ``results['paste']``, bool (H, W), True = foreground at its new place, and
    ``results['shift']``, int64 (2,), the pixels (x, y) that it moved by. Every pixel that a
    box touches is foreground before the cut. Without any box nothing is pasted.

    Args:
        cutout: settings of :class:`ProposalRandomCutout` for the cut of Eq. 7 (``ratio``,
            ``scale_mode``, ``threshold``, ``own_cut``); None pastes the boxes whole.
        boxes_key: key of ``results`` with the boxes.
        paste_key: key to write the mask to.
        shift_key: key to write the shift to.
        stream: name of an own random stream; None for the global one.
    """

    def __init__(
        self,
        *,
        cutout: dict[str, Any] | None = dict(),  # noqa: B006 (read, never written)
        boxes_key: str = 'boxes',
        paste_key: str = 'paste',
        shift_key: str = 'shift',
        stream: str | None = None,
    ) -> None:
        self.cutout = None if cutout is None else ProposalRandomCutout(**cutout)
        self.boxes_key = boxes_key
        self.paste_key = paste_key
        self.shift_key = shift_key
        self.stream = stream

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Writes the mask and the shift."""
        if self.boxes_key not in results:
            raise ValueError(
                f'ShiftedForeground found no results[{self.boxes_key!r}]: put it into a view of '
                'CommonBoxViews'
            )
        rng = random_source(self.stream)
        height, width = results['img'].shape[:2]
        boxes = np.asarray(results[self.boxes_key])
        touched = [box for box in box_cells(boxes, height, width, outward=True) if box[2] > box[0]]
        mask = np.zeros((height, width), bool)
        shift_x = shift_y = 0
        if touched:
            lefts, tops, rights, bottoms = zip(*touched, strict=True)
            x, y = rng.random(2).tolist()
            room_x, room_y = min(lefts) + width - max(rights), min(tops) + height - max(bottoms)
            shift_x = int(x * (room_x + 1)) - min(lefts)
            shift_y = int(y * (room_y + 1)) - min(tops)
        for left, top, right, bottom in touched:
            mask[top + shift_y : bottom + shift_y, left + shift_x : right + shift_x] = True
        if self.cutout is not None:
            moved = box_cells(boxes + np.array((shift_x, shift_y) * 2), height, width)
            mask &= ~self.cutout.cut(moved, height, width, rng)
        results[self.paste_key] = mask
        results[self.shift_key] = np.array((shift_x, shift_y), np.int64)
        return results

    def __repr__(self) -> str:
        return (
            f'ShiftedForeground(cutout={self.cutout}, boxes_key={self.boxes_key!r}, '
            f'paste_key={self.paste_key!r}, shift_key={self.shift_key!r}, stream={self.stream!r})'
        )

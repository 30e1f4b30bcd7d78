"""Copies of tensors, and the way back to them, without asking the device anything.

Whether values are taken back may be known on the device alone. Then every tensor is written again,
with what it is or with what it was. Hundreds of small tensors (BatchNorm statistics) are gathered
in one and chosen in one kernel; large ones are chosen one by one, in place.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ['Snapshot']

_SMALL = 1 << 16  # elements; above, a kernel of its own costs less than being copied twice more


@dataclass
class _Group:
    """Tensors of one dtype and device: places in the list, and their copies.

    Attributes:
        places: Where they stand among all tensors.
        old: Copies; of small tensors views of ``flat_old``.
        new: Room for their present values, views of ``flat_new``; small tensors only.
        flat_old: All copies of small tensors (n,); None for large ones.
        flat_new: The same for their present values.
    """

    places: list[int]
    old: list[Tensor]
    new: list[Tensor]
    flat_old: Tensor | None = None
    flat_new: Tensor | None = None


class Snapshot:
    """What some tensors were at the last :meth:`save`; memory is kept from one to the next."""

    def __init__(self) -> None:
        self._tensors: list[Tensor] = []
        self._layout: list[tuple] = []
        self._groups: list[_Group] = []

    @torch.no_grad()
    def save(self, tensors: Sequence[Tensor]) -> None:
        """Copy the values of ``tensors``."""
        self._tensors = [tensor.detach() for tensor in tensors if tensor.numel()]
        layout = [(t.shape, t.stride(), t.dtype, t.device) for t in self._tensors]
        if layout != self._layout:
            self._layout, self._groups = layout, _arrange(self._tensors)
        for group in self._groups:
            torch._foreach_copy_(group.old, self._of(group))

    @torch.no_grad()
    def restore(self) -> None:
        """Write all values back."""
        for group in self._groups:
            torch._foreach_copy_(self._of(group), group.old)

    @torch.no_grad()
    def restore_where(self, back: Tensor) -> None:
        """Write them back if ``back``, a bool of shape () on the tensors' device, is True."""
        for group in self._groups:
            present = self._of(group)
            if group.flat_old is None or group.flat_new is None:
                for old, tensor in zip(group.old, present, strict=True):
                    torch.where(back, old, tensor, out=tensor)
                continue
            torch._foreach_copy_(group.new, present)
            torch.where(back, group.flat_old, group.flat_new, out=group.flat_new)
            torch._foreach_copy_(present, group.new)

    def _of(self, group: _Group) -> list[Tensor]:
        return [self._tensors[place] for place in group.places]


def _arrange(tensors: list[Tensor]) -> list[_Group]:
    """Groups with room for the copies."""
    by_kind: dict[tuple, list[int]] = {}
    for place, tensor in enumerate(tensors):
        small = tensor.numel() <= _SMALL
        by_kind.setdefault((small, tensor.dtype, tensor.device), []).append(place)
    groups = []
    for (small, dtype, device), places in by_kind.items():
        if not small:
            groups.append(_Group(places, [torch.empty_like(tensors[i]) for i in places], []))
            continue
        sizes = [tensors[place].numel() for place in places]
        flats = [torch.empty(sum(sizes), dtype=dtype, device=device) for _ in range(2)]
        views = [
            [
                part.view(tensors[place].shape)
                for part, place in zip(flat.split(sizes), places, strict=True)
            ]
            for flat in flats
        ]
        groups.append(_Group(places, views[0], views[1], flats[0], flats[1]))
    return groups

"""Which key views are de-coupled, with which mask, in front of whose background."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from mmdssl.models.utils.host_copies import move


@dataclass(frozen=True)
class Selection:
    """The samples of one key view that get a de-coupled view.

    Attributes:
        view: Index of the key view.
        index: (k,) int64, images of the batch whose key view is used.
        background_view: View that the backgrounds are taken from.
        background_index: (k,) int64, never equal to ``index`` at the same place.
        masks: (k, h, w) bool, True = background.
        masks_on_host: The same in host memory, where the masks were chosen there.
    """

    view: int
    index: Int[Tensor, ' k']
    background_view: int
    background_index: Int[Tensor, ' k']
    masks: Bool[Tensor, 'k h w']
    masks_on_host: Bool[Tensor, 'k h w'] | None = None

    def to(self, device: torch.device) -> 'Selection':
        """The same on a device, by copies that nobody waits for."""
        host = self.masks if self.masks.device.type == 'cpu' else self.masks_on_host
        return Selection(
            view=self.view,
            index=move(self.index, device),
            background_view=self.background_view,
            background_index=move(self.background_index, device),
            masks=move(self.masks, device),
            masks_on_host=host,
        )


def select_key_views(
    masks: dict[int, Bool[Tensor, 'n h w']],
    *,
    views: Sequence[int],
    count: int,
    select: str,
    background: str,
    mask_source: str,
    complement_ratio: float,
    complement_rectangles: bool = True,
    generator: torch.Generator,
) -> list[Selection]:
    """Choose samples, masks and backgrounds for every key view.

    Args:
        masks: Masks of each key view, (N, h, w) bool, True = cut.
        views: The key views, in the order in which masks of a pool are handed out.
        count: Samples wanted per view, >= 1.
        select: ``'last'`` or ``'random'``.
        background: ``'flip'``, ``'roll'`` or ``'random'``.
        mask_source: ``'fresh'`` (mask i belongs to image i) or ``'pool'``.
        complement_ratio: Share of each view's samples whose mask is inverted.
        complement_rectangles: Whether masks that leave one rectangle are inverted with the others.
        generator: CPU generator of the random choices.

    Returns:
        One selection per view; with ``'pool'`` it may hold fewer samples than
        ``count`` (possibly none) where the batch has too few non-empty masks.
    """
    first = masks[views[0]]
    size, device = len(first), first.device
    pools = None
    if mask_source == 'pool':
        pools = _pool(masks, views, count)
        count = len(pools[0])
    selections = []
    for position, view in enumerate(views):
        if select == 'random':
            index = torch.randperm(size, generator=generator)[:count]
        else:
            index = torch.arange(size - count, size)
        partner = _partners(index, size, background, generator)
        index, partner = index.to(device), partner.to(device)
        chosen = masks[view][index] if pools is None else pools[position]
        inverted = (torch.arange(count) >= count - round(complement_ratio * count)).to(device)
        if complement_ratio and not complement_rectangles:
            inverted = inverted & ~leaves_rectangle(chosen)
        chosen = chosen ^ inverted[:, None, None]
        other = views[(position + 1) % len(views)] if background == 'flip' else view
        selections.append(Selection(view, index, other, partner, chosen))
    return selections


def leaves_rectangle(masks: Bool[Tensor, 'k h w']) -> Bool[Tensor, ' k']:
    """Whether all that is not cut is a single filled rectangle, the whole image included.

    Args:
        masks: (k, h, w) bool, True = cut.

    Returns:
        (k,) bool on the device of the masks, without waiting for it; False where all is cut.
    """
    kept = ~masks
    filled = torch.ones(len(masks), dtype=torch.bool, device=masks.device)
    outline = torch.ones_like(kept)
    for axis in (1, 2):  # rows that hold something, then columns
        line = kept.any(dim=3 - axis)  # (k, h) or (k, w)
        place = torch.arange(line.shape[1], device=masks.device)
        first = torch.where(line, place, line.shape[1]).amin(dim=1)
        last = torch.where(line, place, -1).amax(dim=1)
        filled &= line.sum(dim=1) == last - first + 1
        outline &= line.unsqueeze(3 - axis)
    return filled & (kept == outline).flatten(1).all(dim=1) & kept.flatten(1).any(dim=1)


def _pool(
    masks: dict[int, Bool[Tensor, 'n h w']], views: Sequence[int], count: int
) -> list[Bool[Tensor, 'k h w']]:
    """Non-empty masks of all views in batch order, dealt out evenly: equal, even shares."""
    every = torch.cat([masks[view] for view in views])
    filled = every[every.flatten(1).any(dim=1)][: len(views) * count]
    share = 2 * (len(filled) // (2 * len(views)))
    return list(filled[: share * len(views)].split(share)) if share else [filled[:0]] * len(views)


def _partners(
    index: Int[Tensor, ' k'], size: int, background: str, generator: torch.Generator
) -> Int[Tensor, ' k']:
    """Image that each sample's background comes from; never the image itself."""
    if background == 'flip':
        partner = size - 1 - index
        # The middle image of an odd batch is its own mirror image.
        return torch.where(partner == index, (partner + 1) % size, partner)
    if background == 'roll':
        return (index + 1) % size
    shift = torch.randint(1, size, (len(index),), generator=generator)
    return (index + shift) % size

"""Moving the foreground of images onto other images, a batch at a time.

The composition C of D3SSL, Sec. 4.2, Eq. 8: what a worker drew (where the foreground goes,
and which pixels of it are pasted) becomes the view x3 on the device, by one gather and one
select.
"""

from typing import Literal

import torch
from torch import Tensor

__all__ = ['other_images', 'paste_shifted']


def paste_shifted(images: Tensor, background: Tensor, *, mask: Tensor, shift: Tensor) -> Tensor:
    """Paste parts of images, moved, onto other images.

    Args:
        images: (N, C, H, W) that the foreground is taken from.
        background: (N, C, H, W) that it is pasted onto.
        mask: (N, H, W) bool, True = foreground **at its new place**. Where a mask asks for a
            pixel from outside its image, the nearest one inside is taken.
        shift: (N, 2) int64, the whole pixels (x, y) that each foreground moves by.

    Returns:
        (N, C, H, W): pixel (x, y) is ``images`` at (x - shift_x, y - shift_y) where the mask
        is True, else ``background``; bit for bit.
    """
    height, width = images.shape[-2:]
    rows = torch.arange(height, device=images.device) - shift[:, 1:]  # (N, H)
    columns = torch.arange(width, device=images.device) - shift[:, :1]  # (N, W)
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    place = (rows[:, :, None] * width + columns[:, None]).flatten(1)  # (N, H * W)
    moved = images.flatten(2).gather(2, place[:, None].expand(-1, images.shape[1], -1))
    return torch.where(mask[:, None], moved.view_as(images), background)


def other_images(
    size: int, *, background: Literal['roll', 'random'], generator: torch.Generator
) -> Tensor:
    """For each image of a batch the index of another one, never its own.

    Args:
        size: images in the batch, at least 2.
        background: ``'roll'``: all move on by one common random number of places, so every
            image is used once; ``'random'``: each draws for itself.
        generator: CPU generator of the draws.

    Returns:
        (size,) int64 on the CPU.
    """
    draws = 1 if background == 'roll' else size
    steps = torch.randint(1, size, (draws,), generator=generator)
    return (torch.arange(size) + steps) % size

"""The foreground of an image as a vision transformer's attention sees it (Leopart, CVPR 2022).

The attention of the class token in the last block, averaged over heads and blurred; of its mass
the top share is kept, and specks of one or two cells are removed.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms.functional import gaussian_blur

from mmdssl.models.utils.frozen_teacher import cls_attention, queries_and_keys

__all__ = ['attention_foreground', 'remove_specks', 'tokens_and_attention', 'top_mass']


def tokens_and_attention(backbone: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens and the attention of the class token in the last block, in one pass.

    Args:
        backbone: A :class:`DenseViT`.
        images: (N, 3, H, W) float, normalised.

    Returns:
        Tokens (N, 1 + h*w, C) after the final norm, and attention from CLS to the patches,
        mean over the heads: (N, h, w). With the shares of CLS itself and of registers it sums to
        1.
    """
    net: Any = backbone
    attention = net.layers[-1].attn
    seen: list[Tensor] = []
    source = queries_and_keys(attention)
    handle = source.register_forward_hook(lambda _, __, output: seen.append(output))
    try:
        tokens = net.forward_tokens(images)
    finally:
        handle.remove()
    importance = cls_attention(seen[0], attention.num_heads)[:, 1 + net.registers :]  # (N, h*w)
    return tokens, importance.unflatten(1, net.grid_size(images))


@torch.no_grad()
def attention_foreground(
    attention: Tensor, *, mass: float = 0.6, kernel: int = 7, sigma: float = 0.6
) -> Tensor:
    """Foreground masks from attention maps.

    Args:
        attention: (N, h, w), non-negative.
        mass: Share of the attention that the foreground holds, in (0, 1].
        kernel: Side of the Gaussian blur in cells, odd; a map of less than ``kernel // 2 + 1``
            cells per side takes the largest that fits.
        sigma: Width of the blur in cells.

    Returns:
        (N, h, w) bool, True = foreground.
    """
    kernel = min(kernel, 2 * min(attention.shape[1:]) - 1)
    blurred = gaussian_blur(attention.float()[:, None], [kernel, kernel], [sigma, sigma])[:, 0]
    return remove_specks(top_mass(blurred, mass))


def top_mass(attention: Tensor, mass: float) -> Tensor:
    """Fewest cells that hold a share of the mass of each map.

    Args:
        attention: (N, h, w), non-negative.
        mass: Share to hold, in (0, 1].

    Returns:
        (N, h, w) bool. A cell is kept if what lies below it in rank, itself included, sums up to
        more than ``1 - mass``.
    """
    flat = attention.flatten(1)
    values, order = flat.sort(dim=1)
    reached = (values / values.sum(dim=1, keepdim=True)).cumsum(dim=1) > 1 - mass
    return torch.zeros_like(reached).scatter(1, order, reached).view_as(attention)


def remove_specks(masks: Tensor) -> Tensor:
    """Masks without their connected components of one or two cells (diagonals connect).

    Such a component is a cell without neighbours, or one whose single neighbour has no other
    neighbour either. So counting neighbours twice does what labelling all components would,
    without leaving the device.

    Args:
        masks: (N, h, w) bool.

    Returns:
        (N, h, w) bool.
    """
    neighbours = _count_neighbours(masks)
    ends = masks & (neighbours == 1)
    pairs = ends & (_count_neighbours(ends) == 1)
    return masks & (neighbours > 0) & ~pairs


def _count_neighbours(masks: Tensor) -> Tensor:
    """Set cells among the eight around each: (N, h, w) float32."""
    around = torch.ones(1, 1, 3, 3, device=masks.device)
    around[0, 0, 1, 1] = 0
    return F.conv2d(masks[:, None].float(), around, padding=1)[:, 0].round()

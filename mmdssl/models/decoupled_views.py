"""The de-coupled views X^D of a batch: composed by the branch, passed through a net by a host."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from mmdssl.models.foreground import Foreground
from mmdssl.models.view_selection import Selection

__all__ = ['DecoupledViews', 'kept_on_host', 'mix_pixels', 'tokens_together']


@dataclass(frozen=True)
class DecoupledViews:
    """The X^D of a batch.

    Attributes:
        key_views: (n, 3, H, W) the key views X they are made from.
        images: (n, 3, H, W) what enters the student: X^D itself where pixels are mixed, X where
            its embedding does the mixing.
        mixing: What the student is told beside the images: nothing, or ``background``,
            ``background_mask`` and ``detach_background`` of :meth:`DenseHost.dense_features`.
        foreground: What of X is still visible.
        selections: Where they come from, one entry per view.
    """

    key_views: Float[Tensor, 'n c h w']
    images: Float[Tensor, 'n c h w']
    mixing: dict[str, Any]
    foreground: Foreground
    selections: tuple[Selection, ...]


def mix_pixels(
    images: Float[Tensor, 'n c h w'],
    background: Float[Tensor, 'n c h w'],
    masks: Bool[Tensor, 'n _ _'],
) -> Float[Tensor, 'n c h w']:
    """X^D at pixel level.

    Args:
        images: (n, 3, H, W) key views.
        background: (n, 3, H, W) images for the background.
        masks: (n, h, w) bool, True = background; brought to (H, W) by nearest cell.

    Returns:
        (n, 3, H, W): ``background`` where the mask is True, else ``images``, bit for bit.
    """
    if masks.shape[1:] != images.shape[2:]:
        grown = F.interpolate(masks[:, None].float(), size=images.shape[2:], mode='nearest')
        masks = grown[:, 0] > 0.5
    return torch.where(masks[:, None], background, images)


def kept_on_host(selections: Sequence[Selection]) -> Bool[Tensor, 'n h w'] | None:
    """What is kept of the selected key views (n, h, w), in host memory; None if not there."""
    masks = [s.masks_on_host for s in selections if s.masks_on_host is not None]
    return ~torch.cat(masks) if len(masks) == len(selections) else None


def tokens_together(
    backbone: Any,
    images: Float[Tensor, 'b rgb h w'],
    decoupled: DecoupledViews | None,
    **embedding: Any,
) -> tuple[Float[Tensor, 'b t c'], Float[Tensor, 'n t c'] | None]:
    """Tokens of images and of X^D from one pass.

    The blocks of a ViT treat samples alike, so that one pass with n more samples equals two; it
    costs the host one pass to launch, and the device works on larger matrices.

    Args:
        backbone: A :class:`DenseViT`; one that only has ``forward_tokens`` sees X^D by itself.
        images: (B, 3, H, W) of the size of X^D.
        decoupled: X^D, or None.
        **embedding: ``mask`` of :meth:`DenseViT.embed`, for the images.

    Returns:
        (B, 1 + L, C) tokens of the images, and (n, 1 + L, C) of X^D or None.
    """
    if decoupled is None:
        return backbone.forward_tokens(images, **embedding), None
    if not hasattr(backbone, 'forward_embedded'):
        alone = backbone.forward_tokens(decoupled.images, **decoupled.mixing)
        return backbone.forward_tokens(images, **embedding), alone
    x, grid = backbone.embed(images, **embedding)
    y, _ = backbone.embed(decoupled.images, **decoupled.mixing)
    tokens = backbone.forward_embedded(torch.cat((x, y)), grid)
    return tokens[: len(x)], tokens[len(x) :]

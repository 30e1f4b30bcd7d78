"""A frozen teacher: a ViT that somebody else trained, read block by block in one pass."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdssl.models.utils.frozen_net import FrozenNet
from mmdssl.registry import MODELS

__all__ = ['FrozenTeacher', 'TeacherView', 'cls_attention', 'queries_and_keys']


class TeacherView(NamedTuple):
    """What a teacher sees in N images of L patches.

    Attributes:
        hidden: Block outputs (N, 1 + L, C) before the final norm, those that were asked for.
        importance: (N, L) float32: how much CLS attends to each patch in the last block, mean
            over the heads. A row sums to 1 less what CLS gives itself.
    """

    hidden: tuple[Tensor, ...]
    importance: Tensor


@MODELS.register_module()
class FrozenTeacher(FrozenNet):
    """A ViT that is never trained: no gradients, always in evaluation mode.

    Any ViT of mmpretrain's build serves: ``layers`` with ``attn.qkv`` in one linear, ``img_size``,
    ``patch_resolution``, one class token. Its images are made from the student's: resized where
    the patches have another size, and normalised anew where ``mean`` and ``std`` are given.
    Arguments and errors: :class:`FrozenNet`.
    """

    @property
    def depth(self) -> int:
        """Number of blocks."""
        return len(self.backbone.layers)

    @property
    def embed_dims(self) -> int:
        """Width of the hidden states."""
        return self.backbone.embed_dims

    @property
    def grid(self) -> tuple[int, int]:
        """Patches (h, w) of its images."""
        return tuple(self.backbone.patch_resolution)

    def view(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) of the student as the teacher wants them."""
        size = tuple(self.backbone.img_size)
        if tuple(images.shape[2:]) != size:
            images = F.interpolate(images, size, mode='bicubic', align_corners=False)
        return self.normalised(images)

    @torch.no_grad()
    def forward(self, images: Tensor, layers: Sequence[int] | None = None) -> TeacherView:
        """One pass.

        Args:
            images: (N, 3, H, W), float, normalised as the student's.
            layers: Blocks whose outputs are kept; None: all.
        """
        wanted = range(self.depth) if layers is None else layers
        hidden: dict[int, Tensor] = {}
        seen: dict[str, Tensor] = {}
        blocks = self.backbone.layers
        hooks: list[tuple[nn.Module, Callable]] = [
            (blocks[i], lambda _, __, out, i=i: hidden.update({i: out})) for i in wanted
        ]
        last = queries_and_keys(blocks[-1].attn)
        hooks.append((last, lambda _, __, out: seen.update(qkv=out)))
        with _listening(hooks):
            self.backbone(self.view(images))
        importance = cls_attention(seen['qkv'], blocks[-1].attn.num_heads)
        registers = getattr(self.backbone, 'registers', 0)
        kept = (self.backbone.without_registers(x) if registers else x for x in hidden.values())
        states = dict(zip(hidden, kept, strict=True))
        return TeacherView(tuple(states[i] for i in wanted), importance[:, 1 + registers :])


def queries_and_keys(attention: nn.Module) -> nn.Module:
    """The part of an attention whose output :func:`cls_attention` reads: where keys are final."""
    parts = dict(attention.named_children())
    return parts.get('turned', parts['qkv'])  # rotary positions turn them after ``qkv``


def cls_attention(qkv: Tensor, num_heads: int) -> Tensor:
    """Attention of the first token, mean over heads, from a block's queries, keys and values.

    Args:
        qkv: (N, T, 3 * C): queries, keys, values, each by heads; or these apart, (3, N, heads, T,
            C / heads).
        num_heads: Heads.

    Returns:
        (N, T) float32 (float64 for float64), rows sum to 1.
    """
    parts = qkv
    if qkv.ndim == 3:  # (N, T, 3*C) -> (3, N, heads, T, C/heads)
        parts = qkv.unflatten(-1, (3, num_heads, -1)).permute(2, 0, 3, 1, 4)
    with torch.autocast(qkv.device.type, enabled=False):
        wide = torch.float64 if qkv.dtype == torch.float64 else torch.float32
        query, key = parts[0][:, :, :1].to(wide), parts[1].to(wide)
        scores = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5  # (N, heads, 1, T)
        return scores.softmax(dim=-1).mean(dim=1)[:, 0]


@contextmanager
def _listening(hooks: Sequence[tuple[nn.Module, Callable]]) -> Iterator[None]:
    """Forward hooks for the length of a block."""
    handles = [module.register_forward_hook(hook) for module, hook in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

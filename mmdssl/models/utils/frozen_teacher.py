"""A frozen teacher: a ViT that somebody else trained, read block by block in one pass."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdssl.core.hub import is_there
from mmdssl.models.utils.backbone_weights import Source, load_backbone
from mmdssl.models.utils.host_copies import move
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
class FrozenTeacher(BaseModule):
    """A ViT that is never trained: no gradients, always in evaluation mode.

    Any ViT of mmpretrain's build serves: ``layers`` with ``attn.qkv`` in one linear, ``img_size``,
    ``patch_resolution``, one class token. Its images are made from the student's: resized where
    the patches have another size, and normalised anew where ``mean`` and ``std`` are given.

    Args:
        backbone: The ViT. A config needs ``checkpoint``, an ``init_cfg`` of its own or
            ``init='random'``; a module keeps its weights unless ``checkpoint`` is given.
        checkpoint: File with its weights: one of this package's runs, or any that
            :func:`mmdssl.models.utils.backbone_weights.load_backbone` reads. Read by
            :meth:`init_weights`.
        source: Which backbone of a run to take, see there.
        mean: Mean of R, G, B, 0..255, that the ViT was trained with (CLIP has its own); None:
            the student's.
        std: Standard deviation of R, G, B, in the same way.
        init: ``'random'`` leaves the weights random, whatever ``checkpoint`` says, and warns:
            for trying out the rest.

    Raises:
        ValueError: Without weights, or with only one of ``mean`` and ``std``.
    """

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        checkpoint: str | None = None,
        source: Source = 'auto',
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        init: Literal['pretrained', 'random'] = 'pretrained',
    ) -> None:
        super().__init__()
        given = isinstance(backbone, nn.Module)
        self.backbone: Any = backbone if given else MODELS.build(backbone)
        if init not in ('pretrained', 'random'):
            raise ValueError(f"FrozenTeacher: init is {init!r}, give 'pretrained' or 'random'")
        own_weights = given or getattr(self.backbone, 'init_cfg', None) is not None
        if init == 'pretrained' and checkpoint is None and not own_weights:
            raise ValueError(
                "FrozenTeacher: no weights: give checkpoint=FILE, or init='random' to try out "
                'the rest without'
            )
        if (mean is None) != (std is None):
            raise ValueError(f'FrozenTeacher: mean={mean!r} and std={std!r} are given together')
        self.checkpoint, self.source, self.init = checkpoint, source, init
        self._given = given
        self.mean, self.std = mean, std
        self._factor: tuple[float, ...] = (1.0, 1.0, 1.0)
        self._shift: tuple[float, ...] = (0.0, 0.0, 0.0)
        self.requires_grad_(False)
        self.eval()

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

    def train(self, mode: bool = True) -> 'FrozenTeacher':
        """Stays in evaluation mode, whatever the host is told."""
        return super().train(False)

    def check_checkpoint(self) -> None:
        """Refuse a missing file before anything is trained."""
        if self.init == 'random' or self.checkpoint is None:
            return
        if not is_there(self.checkpoint):
            raise FileNotFoundError(
                f'no teacher at {self.checkpoint}: train or convert one first (see the header of '
                'the config), or give its file as model.teacher.checkpoint=FILE'
            )

    def init_weights(self) -> None:
        """Read the checkpoint."""
        if self.init == 'random':
            self.backbone.init_weights()
            print_log(
                "FrozenTeacher: RANDOM WEIGHTS (init='random'): the student learns nothing of "
                'use from them',
                logger='current',
                level=30,
            )
        elif self.checkpoint is not None:
            self.check_checkpoint()
            report = load_backbone(self.backbone, self.checkpoint, source=self.source)
            print_log(f'Teacher from {self.checkpoint}: {report}', logger='current')
        elif not self._given:
            self.backbone.init_weights()

    def expect_normalised_by(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """State how the images are normalised that it will get.

        Args:
            mean: R, G, B, 0..255.
            std: R, G, B, 0..255.
        """
        if self.mean is None or self.std is None:
            return
        # x = (p - mean) / std, wanted: (p - own_mean) / own_std
        self._factor = tuple(s / own for s, own in zip(std, self.std, strict=True))
        self._shift = tuple(
            (m - own) / scale for m, own, scale in zip(mean, self.mean, self.std, strict=True)
        )

    def view(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) of the student as the teacher wants them."""
        size = tuple(self.backbone.img_size)
        if tuple(images.shape[2:]) != size:
            images = F.interpolate(images, size, mode='bicubic', align_corners=False)
        if self.mean is None:
            return images
        factor, shift = (
            move(torch.tensor(x, dtype=images.dtype), images.device)[:, None, None]
            for x in (self._factor, self._shift)
        )
        return images * factor + shift

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

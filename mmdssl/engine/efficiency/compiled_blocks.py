"""Transformer blocks compiled one by one.

A block is the largest part of a step whose shapes never change: whole networks are called with
masks, mixed images and several sizes of crops, and the head sees another number of tokens in each
step. All blocks of a network share one compiled function, because they are the same code with
other weights; student, teacher and each batch size make a variant of it.

Parameters, their names and checkpoints stay as they are. Two things differ from an uncompiled
block: results by rounding, and the draws of stochastic depth, which come from the same generator
but in the compiler's order.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from mmcv.cnn.bricks.drop import DropPath
from torch import Tensor, nn

from mmdssl.models.backbones.dense_vit import TransformerEncoderLayer

__all__ = ['compile_blocks']

# Variants of the shared function: student and teacher, with and without X^D, crops of two sizes.
_VARIANTS = 32


class _DroppedPath(nn.Module):
    """Stochastic depth whose rate is data, so that blocks of different rates share their code."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.register_buffer('rate', torch.tensor(float(rate)), persistent=False)
        self.rate: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) with whole samples set to 0, the others scaled up; as it is in evaluation."""
        if not self.training:
            return x
        keep = 1 - self.rate
        # In float32: half precision rounds draws near 1 to 1.
        drawn = torch.rand(len(x), *[1] * (x.ndim - 1), device=x.device)
        return x * ((drawn < keep) / keep).to(x.dtype)


def compile_blocks(model: nn.Module, **options: Any) -> int:
    """Compile every transformer block of a model, in place.

    Args:
        model: A host or a backbone; its blocks are ``TransformerEncoderLayer`` of mmpretrain.
            Networks without any (ResNets) are left alone.
        **options: Of ``torch.compile``; ``dynamic=False`` unless given.

    Returns:
        The number of blocks.
    """
    blocks = [one for one in model.modules() if isinstance(one, TransformerEncoderLayer)]
    blocks = [block for block in blocks if hasattr(block.ffn, 'layers')]  # not the gated MLPs
    if not blocks:
        return 0
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, _VARIANTS)
    shared = torch.compile(_forward, **{'dynamic': False, **options})
    dropping = {_rate(block.attn.out_drop) for block in blocks} != {0.0}
    for block in blocks:
        if dropping:
            block.attn.out_drop = _like(block.attn.out_drop, block)
            block.ffn.dropout_layer = _like(block.ffn.dropout_layer, block)
        block.forward = partial(_call, shared, block)
    return len(blocks)


def _call(shared: Callable, block: TransformerEncoderLayer, x: Tensor, *rotation: Tensor) -> Tensor:
    """The compiled function, or the block itself where somebody listens to what it computes."""
    turned = getattr(block.attn, 'turned', None)
    if block.attn.qkv._forward_hooks or (turned is not None and turned._forward_hooks):
        # compiled code would not call them
        return type(block).forward(block, x, *rotation)
    return shared(block, x, *rotation)


def _forward(block: TransformerEncoderLayer, x: Tensor, *rotation: Tensor) -> Tensor:
    """The block's own sum; its MLP without the checks around it that a compiler stumbles over."""
    x = x + block.attn(block.ln1(x), *rotation)
    return x + block.ffn.dropout_layer(block.ffn.gamma2(block.ffn.layers(block.ln2(x))))


def _rate(drop: nn.Module) -> float:
    return float(drop.drop_prob) if isinstance(drop, DropPath) else 0.0


def _like(drop: nn.Module, block: nn.Module) -> nn.Module:
    """Stochastic depth of the same rate, mode and device."""
    if isinstance(drop, _DroppedPath):
        return drop
    new = _DroppedPath(_rate(drop)).to(next(block.parameters()).device)
    return new.train(drop.training)

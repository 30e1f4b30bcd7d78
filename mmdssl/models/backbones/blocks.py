"""Blocks of DINOv2 and DINOv3 that mmpretrain's encoder layer lacks, under its parameter names.

The gated MLP with stochastic depth, attention whose patches turn by their position, and a bias of
queries and values without one of keys. Names stay: ``attn.qkv``, ``attn.proj``, ``ffn.w12``.
"""

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.model import ModuleList
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from mmpretrain.models.utils import MultiheadAttention
from mmpretrain.models.utils.swiglu_ffn import SwiGLUFFN
from torch import Tensor, nn

from mmdssl.models.backbones.rope import rotate

__all__ = ['RotaryAttention', 'RotaryBlock', 'dino_blocks', 'gated_mlp']


def gated_mlp(
    embed_dims: int, channels: int, *, layer_scale_init_value: float, drop_path_rate: float
) -> SwiGLUFFN:
    """silu(gate) * value, as wide as makes it cost what a plain MLP of ``channels`` does.

    mmpretrain's class of that rule (``SwiGLUFFNFused``) takes no stochastic depth.

    Args:
        embed_dims: Width C.
        channels: Hidden width h of the plain MLP; the gated one has 2 h / 3, rounded up to a
            multiple of 8.
        layer_scale_init_value: 0 for none.
        drop_path_rate: Of this block.
    """
    return SwiGLUFFN(
        embed_dims=embed_dims,
        feedforward_channels=(channels * 2 // 3 + 7) // 8 * 8,
        layer_scale_init_value=layer_scale_init_value,
        dropout_layer=dict(type='DropPath', drop_prob=drop_path_rate),
    )


class _MaskedKeys(nn.Linear):
    """Queries, keys and values of one linear layer, whose keys have no bias.

    The bias keeps its whole length, so that names and shapes are those of the free form; without
    positions that turn, a key bias changes nothing, with them it would.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.bias is None:
            return super().forward(x)
        query, key, value = self.bias.chunk(3)
        bias = torch.cat((query, torch.zeros_like(key), value))
        return nn.functional.linear(x, self.weight, bias)


class RotaryAttention(MultiheadAttention):
    """mmpretrain's attention with rotary positions.

    Args:
        key_bias: The third of the bias that belongs to the keys takes part. DINOv3: False.
        **kwargs: Arguments of mmpretrain's ``MultiheadAttention``.
    """

    def __init__(self, *, key_bias: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.qkv: nn.Linear
        if not key_bias:
            free = self.qkv
            self.qkv = _MaskedKeys(free.in_features, free.out_features, free.bias is not None)
        #: Passes on (3, N, heads, T, d): a place to listen, as ``qkv`` is before the turning.
        self.turned = nn.Identity()

    def heads(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """Queries, keys and values, turned: (N, T, C) -> (3, N, heads, T, d)."""
        parts = self.qkv(x).unflatten(-1, (3, self.num_heads, self.head_dims))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        query, key = rotate(query, cos, sin), rotate(key, cos, sin)
        return self.turned(torch.stack((query, key, value)))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(N, T, C) -> (N, T, C); tables as of :func:`rotate`."""
        query, key, value = self.heads(x, cos, sin)
        x = self.scaled_dot_product_attention(
            query, key, value, dropout_p=self.attn_drop if self.training else 0.0
        )
        x = self.proj(x.transpose(1, 2).flatten(2))
        return self.out_drop(self.gamma1(self.proj_drop(x)))


class RotaryBlock(TransformerEncoderLayer):
    """mmpretrain's encoder layer with :class:`RotaryAttention`.

    Args:
        key_bias: See :class:`RotaryAttention`.
        **kwargs: Arguments of mmpretrain's layer.
    """

    def __init__(self, *, key_bias: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.attn = RotaryAttention(
            key_bias=key_bias,
            embed_dims=kwargs['embed_dims'],
            num_heads=kwargs['num_heads'],
            attn_drop=kwargs.get('attn_drop_rate', 0.0),
            proj_drop=kwargs.get('drop_rate', 0.0),
            dropout_layer=dict(type='DropPath', drop_prob=kwargs.get('drop_path_rate', 0.0)),
            qkv_bias=kwargs.get('qkv_bias', True),
            layer_scale_init_value=kwargs.get('layer_scale_init_value', 0.0),
        )

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(N, T, C) -> (N, T, C)."""
        x = x + self.attn(self.ln1(x), cos, sin)
        return self.ffn(self.ln2(x), identity=x)


def dino_blocks(
    arch: Mapping[str, int],
    *,
    drop_path_rate: float,
    gated: bool,
    rotary: bool,
    key_bias: bool,
    layer_scale_init_value: float = 0.0,
    layer_cfgs: Any = None,
    **settings: Any,
) -> ModuleList:
    """The blocks of a ViT with gated MLPs, rotary positions, or both.

    Args:
        arch: mmpretrain's ``embed_dims``, ``num_layers``, ``num_heads``, ``feedforward_channels``.
        drop_path_rate: Of the last block, rising linearly from 0.
        gated: See :func:`gated_mlp`.
        rotary: See :class:`RotaryAttention`.
        key_bias: See :class:`RotaryAttention`.
        layer_scale_init_value: 0 for none.
        layer_cfgs: Of mmpretrain's ViT: has no part here.
        **settings: Of mmpretrain's ViT; those of a block are used.

    Raises:
        ValueError: If ``layer_cfgs`` is given.
    """
    if layer_cfgs is not None:
        raise ValueError("layer_cfgs is not for a ViT with rope or ffn='gated': leave it out")
    width, channels = arch['embed_dims'], arch['feedforward_channels']
    common: dict[str, Any] = dict(
        embed_dims=width,
        num_heads=arch['num_heads'],
        feedforward_channels=channels,
        layer_scale_init_value=layer_scale_init_value,
        **{name: settings[name] for name in ('drop_rate', 'qkv_bias') if name in settings},
        norm_cfg=settings['norm_cfg'],
    )
    blocks = []
    # Values, whatever device new tensors are put on meanwhile.
    for rate in torch.linspace(0, drop_path_rate, arch['num_layers'], device='cpu').tolist():
        if rotary:
            block = RotaryBlock(key_bias=key_bias, drop_path_rate=rate, **common)
        else:
            block = TransformerEncoderLayer(drop_path_rate=rate, **common)
        if gated:
            block.ffn = gated_mlp(
                width,
                channels,
                layer_scale_init_value=layer_scale_init_value,
                drop_path_rate=rate,
            )
        blocks.append(block)
    return ModuleList(blocks)

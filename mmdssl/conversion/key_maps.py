"""One table of parameter names: every conversion, in either direction, reads it.

A row names one kind of parameter in each dialect. ``#`` stands for a number, ``*`` for the rest
(``weight``, ``running_mean``, ...), ``=`` for "as in the first column" and ``-`` for "has no
place there". Of several rows with the same first column the first is written, all are read. The
dialects: ``ours`` (:class:`DenseViT`, mmpretrain's ``ResNet`` and ``ConvNeXt``); ``mmpretrain``,
also within mmdet and mmseg; ``official``, the code of DINO, iBOT, MoCo, DenseCL and SoCo;
``dinov2`` and ``dinov3``, theirs; ``hf2`` and ``hf3``, files of transformers with these two;
``timm``, and ``timm3`` for its class of DINOv3; ``torchvision``. Where a dialect also splits or
merges tensors (:mod:`mmdssl.conversion.value_rules`), the names here are those of whole ones.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, get_args

from torch import Tensor

__all__ = ['DIALECTS', 'FAMILIES', 'Dialect', 'Translated', 'family_of', 'translate']

Dialect = Literal[
    'ours',
    'mmpretrain',
    'official',
    'timm',
    'torchvision',
    'dinov2',
    'dinov3',
    'hf2',
    'hf3',
    'timm3',
]

_BLOCK = 'encoder.layers.encoder_layer_#'
_TABLES = {
    'vit': f"""
ours                      mmpretrain official             timm                 torchvision
cls_token                 =          cls_token            cls_token            class_token
pos_embed                 =          pos_embed            pos_embed            encoder.pos_embedding
mask_token                -          masked_embed         -                    -
patch_embed.projection.*  =          patch_embed.proj.*   patch_embed.proj.*   conv_proj.*
pre_norm.*                =          -                    norm_pre.*           -
register_tokens           =          -                    reg_token            -
rope.periods              =          -                    -                    -
layers.#.attn.gamma1.weight =        -                    blocks.#.ls1.gamma   -
layers.#.ffn.gamma2.weight =         -                    blocks.#.ls2.gamma   -
layers.#.ffn.w12.*        =          -                    blocks.#.mlp.w12.*   -
layers.#.ffn.w3.*         =          -                    blocks.#.mlp.w3.*    -
layers.#.ln1.*            =          blocks.#.norm1.*     blocks.#.norm1.*     {_BLOCK}.ln_1.*
layers.#.attn.qkv.*       =          blocks.#.attn.qkv.*  blocks.#.attn.qkv.*  {_BLOCK}.self_attention.in_proj_*
layers.#.attn.proj.*      =          blocks.#.attn.proj.* blocks.#.attn.proj.* {_BLOCK}.self_attention.out_proj.*
layers.#.ln2.*            =          blocks.#.norm2.*     blocks.#.norm2.*     {_BLOCK}.ln_2.*
layers.#.ffn.layers.0.0.* =          blocks.#.mlp.fc1.*   blocks.#.mlp.fc1.*   {_BLOCK}.mlp.0.*
layers.#.ffn.layers.1.*   =          blocks.#.mlp.fc2.*   blocks.#.mlp.fc2.*   {_BLOCK}.mlp.3.*
layers.#.ffn.layers.0.0.* -          -                    -                    {_BLOCK}.mlp.linear_1.*
layers.#.ffn.layers.1.*   -          -                    -                    {_BLOCK}.mlp.linear_2.*
ln1.*                     =          norm.*               norm.*               encoder.ln.*
""",  # noqa: E501 - one row a line
    # The same first column, for DINOv2, DINOv3 and their files in libraries.
    'dino': """
ours                        dinov2               dinov3               hf2                                          hf3                           timm3
cls_token                   =                    =                    embeddings.cls_token                         embeddings.cls_token          =
register_tokens             =                    storage_tokens       embeddings.register_tokens                   embeddings.register_tokens    reg_token
mask_token                  =                    =                    embeddings.mask_token                        embeddings.mask_token         -
pos_embed                   =                    -                    embeddings.position_embeddings               -                             -
rope.periods                -                    rope_embed.periods   -                                            -                             -
patch_embed.projection.*    patch_embed.proj.*   patch_embed.proj.*   embeddings.patch_embeddings.projection.*     embeddings.patch_embeddings.* patch_embed.proj.*
layers.#.ln1.*              blocks.#.norm1.*     blocks.#.norm1.*     encoder.layer.#.norm1.*                      layer.#.norm1.*               blocks.#.norm1.*
layers.#.attn.qkv.*         blocks.#.attn.qkv.*  blocks.#.attn.qkv.*  encoder.layer.#.attention.attention.qkv.*    layer.#.attention.qkv.*       blocks.#.attn.qkv.*
layers.#.attn.proj.*        blocks.#.attn.proj.* blocks.#.attn.proj.* encoder.layer.#.attention.output.dense.*     layer.#.attention.o_proj.*    blocks.#.attn.proj.*
layers.#.attn.gamma1.weight blocks.#.ls1.gamma   blocks.#.ls1.gamma   encoder.layer.#.layer_scale1.lambda1         layer.#.layer_scale1.lambda1  blocks.#.gamma_1
layers.#.ln2.*              blocks.#.norm2.*     blocks.#.norm2.*     encoder.layer.#.norm2.*                      layer.#.norm2.*               blocks.#.norm2.*
layers.#.ffn.layers.0.0.*   blocks.#.mlp.fc1.*   blocks.#.mlp.fc1.*   encoder.layer.#.mlp.fc1.*                    layer.#.mlp.up_proj.*         blocks.#.mlp.fc1.*
layers.#.ffn.layers.1.*     blocks.#.mlp.fc2.*   blocks.#.mlp.fc2.*   encoder.layer.#.mlp.fc2.*                    layer.#.mlp.down_proj.*       blocks.#.mlp.fc2.*
layers.#.ffn.w12.*          blocks.#.mlp.w12.*   blocks.#.mlp.w12.*   encoder.layer.#.mlp.weights_in.*             layer.#.mlp.w12.*             blocks.#.mlp.w12.*
layers.#.ffn.w3.*           blocks.#.mlp.w3.*    blocks.#.mlp.w3.*    encoder.layer.#.mlp.weights_out.*            layer.#.mlp.w3.*              blocks.#.mlp.w3.*
layers.#.ffn.gamma2.weight  blocks.#.ls2.gamma   blocks.#.ls2.gamma   encoder.layer.#.layer_scale2.lambda1         layer.#.layer_scale2.lambda1  blocks.#.gamma_2
ln1.*                       norm.*               norm.*               layernorm.*                                  norm.*                        norm.*
local_cls_norm.*            -                    =                    -                                            -                             -
""",  # noqa: E501 - one row a line
    # Of several norms of stages mmpretrain has, the last is that of the published networks.
    'convnext': """
ours                          mmpretrain dinov3                      timm                              hf3
downsample_layers.0.#.*       =          =                           stem.#.*                          stages.0.downsample_layers.#.*
downsample_layers.#.#.*       =          =                           stages.#.downsample.#.*           stages.#.downsample_layers.#.*
stages.#.#.depthwise_conv.*   =          stages.#.#.dwconv.*         stages.#.blocks.#.conv_dw.*       stages.#.layers.#.depthwise_conv.*
stages.#.#.norm.*             =          =                           stages.#.blocks.#.norm.*          stages.#.layers.#.layer_norm.*
stages.#.#.pointwise_conv1.*  =          stages.#.#.pwconv1.*        stages.#.blocks.#.mlp.fc1.*       stages.#.layers.#.pointwise_conv1.*
stages.#.#.pointwise_conv2.*  =          stages.#.#.pwconv2.*        stages.#.blocks.#.mlp.fc2.*       stages.#.layers.#.pointwise_conv2.*
stages.#.#.gamma              =          =                           stages.#.blocks.#.gamma           stages.#.layers.#.gamma
norm3.*                       =          norm.*                      head.norm.*                       layer_norm.*
norm#.*                       =          -                           -                                 -
""",  # noqa: E501
    # All these name a ResNet alike.
    'resnet': """
ours                    mmpretrain official timm torchvision
conv1.*                 =          =        =    =
bn1.*                   =          =        =    =
layer#.#.conv#.*        =          =        =    =
layer#.#.bn#.*          =          =        =    =
layer#.#.downsample.#.* =          =        =    =
""",
    # The projection head of iBOT: old-style weight norm is torch's parametrization now.
    'ibot_head': """
ours                                               official
mlp.#.*                                            =
last_layer.parametrizations.weight.original0       last_layer.weight_g
last_layer.parametrizations.weight.original1       last_layer.weight_v
last_layer_patch.parametrizations.weight.original0 last_layer2.weight_g
last_layer_patch.parametrizations.weight.original1 last_layer2.weight_v
""",
}
# Where dialects shape the same values differently.
_SHAPES: dict[tuple[str, str], tuple[int, ...]] = {
    ('mask_token', 'ours'): (1, 1, -1),
    ('mask_token', 'official'): (1, -1),
    ('mask_token', 'dinov2'): (1, -1),
    ('mask_token', 'dinov3'): (1, -1),
    ('mask_token', 'hf2'): (1, -1),
    ('mask_token', 'hf3'): (1, 1, -1),
}

DIALECTS: tuple[Dialect, ...] = get_args(Dialect)
#: Architectures of backbones that the table knows.
FAMILIES = ('vit', 'resnet', 'convnext')


def _parse(text: str) -> tuple[dict[str, str], ...]:
    header, *lines = (line.split() for line in text.strip().splitlines())
    return tuple(
        {
            dialect: cells[0] if cell == '=' else cell
            for dialect, cell in zip(header, cells, strict=True)
            if cell != '-'
        }
        for cells in lines
    )


_ROWS = {family: _parse(text) for family, text in _TABLES.items()}
# Rows of a ViT with the same first column are one, where that says what is written.
_DINO = {cells.get('ours', ''): cells for cells in _ROWS.pop('dino')}
_ROWS['vit'] = (*({**_DINO.pop(c['ours'], {}), **c} for c in _ROWS['vit']), *_DINO.values())


@cache
def _pattern(cell: str) -> re.Pattern[str]:
    escaped = re.escape(cell).replace(r'\#', '#').replace('#', r'(\d+)')
    return re.compile(escaped.replace(r'\*', r'([^.]+)'))


def _fill(cell: str, values: Iterable[str]) -> str:
    remaining = iter(values)
    return re.sub(r'[#*]', lambda _: next(remaining), cell)


@dataclass
class Translated:
    """Parameters under the names of another dialect.

    Attributes:
        state: Translated names; values untouched, except for dimensions of size 1.
        left_out: Source names that have no place in the other dialect.
        unknown: Source names that the table does not hold.
    """

    state: dict[str, Tensor] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def translate(
    state: Mapping[str, Tensor], family: str, source: Dialect, target: Dialect
) -> Translated:
    """Rename the parameters of a network.

    Args:
        state: Names of the dialect ``source``, without any prefix.
        family: A table, 'vit', 'resnet' or 'ibot_head'.
        source: Dialect of ``state``.
        target: Dialect wanted.

    Raises:
        ValueError: If two names become one, as in a file that holds a tensor under
            an old and a new name.
    """
    result = Translated()
    for name, value in state.items():
        cells, match = _find(name, family, source)
        if cells is None or match is None:
            result.unknown.append(name)
        elif target not in cells:
            result.left_out.append(name)
        else:
            renamed = _fill(cells[target], match.groups())
            if renamed in result.state:
                raise ValueError(f'two tensors, one of them {name!r}, are both {renamed!r}')
            shape = _SHAPES.get((cells.get('ours', ''), target))
            result.state[renamed] = value if shape is None else value.reshape(shape)
    return result


def _find(
    name: str, family: str, dialect: Dialect
) -> tuple[dict[str, str] | None, re.Match[str] | None]:
    """The row that knows a name, and the numbers in the name."""
    for cells in _ROWS[family]:
        match = _pattern(cells[dialect]).fullmatch(name) if dialect in cells else None
        if match:
            return cells, match
    return None, None


def family_of(names: Iterable[str], dialect: Dialect) -> str | None:
    """The family whose table knows most of the names; None where none knows any."""
    names = list(names)
    known = {
        family: sum(_find(name, family, dialect)[0] is not None for name in names)
        for family in FAMILIES
    }
    best = max(known, key=lambda family: known[family])
    return best if known[best] else None

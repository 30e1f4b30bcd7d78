"""What a complete backbone holds, read off the tensors that are there.

A checkpoint is only known to be complete against a list of what should be in it. The
list follows from a few numbers (width, depth, blocks per stage) that every file shows
many times over, so neither a config, which would have to be executed, nor the target
framework is needed.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from mmdssl.conversion.key_maps import family_of
from mmdssl.core.tokens import table_side

__all__ = ['Blueprint', 'backbone_config', 'blueprint']

Shape = tuple[int, ...]

_HEAD = 64  # channels of an attention head of every ViT that is published
# Depth of a ResNet by blocks of its stages, and whether they are bottlenecks.
_DEPTHS: dict[tuple[tuple[int, ...], bool], int] = {
    ((2, 2, 2, 2), False): 18,
    ((3, 4, 6, 3), False): 34,
    ((3, 4, 6, 3), True): 50,
    ((3, 4, 23, 3), True): 101,
    ((3, 8, 36, 3), True): 152,
}
_NORM = ('weight', 'bias', 'running_mean', 'running_var')


@dataclass
class Blueprint:
    """The tensors of a complete backbone, under our names.

    Attributes:
        title: For people, e.g. ``'ViT 12 x 384, patch 16'``.
        shapes: Name -> shape; -1 where any size will do.
        optional: Names that a complete file may lack.
    """

    title: str
    shapes: dict[str, Shape] = field(default_factory=dict)
    optional: set[str] = field(default_factory=set)


def blueprint(state: Mapping[str, Tensor], family: str) -> Blueprint:
    """What ``state``, maybe incomplete, should hold.

    Args:
        state: Tensors of a backbone under our names.
        family: 'vit' or 'resnet'.

    Raises:
        ValueError: If too little is there to tell the size of the network.
    """
    return _vit(state) if family == 'vit' else _resnet(state)


def backbone_config(state: Mapping[str, Tensor], path: str | Path) -> dict[str, Any]:
    """The config of the backbone that tensors are of, with the usual heads and strides.

    Args:
        state: Tensors of a backbone under our names.
        path: Of the file, for messages.

    Raises:
        ValueError: If they are of no ViT or ResNet, or of one that cannot be told by its tensors.
    """
    family = family_of(state, 'ours')
    try:
        if family is None:
            raise ValueError('no name is known')
        plan = blueprint(state, family)
    except ValueError as error:
        raise ValueError(
            f'{path} has no backbone under the names of this package ({error}; they are like '
            f'{", ".join(list(state)[:2])}): a file of another project is converted first: mmdssl '
            'convert import FILE --from ...'
        ) from error
    if family == 'resnet':
        return _resnet_config(state, path, plan.title)
    width = _size(state, r'layers\.\d+\.ln[12]\.weight', 0)
    patch = _size(state, r'patch_embed\.projection\.weight', -1)
    table = state.get('pos_embed')
    other = any(name.startswith('pre_norm.') for name in state)  # CLIP, and its activations
    if width % _HEAD or patch < 1 or table is None or other:
        raise ValueError(
            f'{path} holds a {plan.title} of its own kind: its heads, patches or activations '
            'cannot be told by its tensors; give the checkpoint of its run'
        )
    return dict(
        type='DenseViT',
        arch=dict(
            embed_dims=width,
            num_layers=_count(state, r'layers\.(\d+)\.'),
            num_heads=width // _HEAD,
            feedforward_channels=_size(state, r'layers\.\d+\.ffn\.layers\.0\.0\.weight', 0),
        ),
        img_size=table_side(table.shape[1]) * patch,
        patch_size=patch,
        with_mask_token=False,
    )


def _resnet_config(state: Mapping[str, Tensor], path: str | Path, title: str) -> dict[str, Any]:
    blocks = tuple(_count(state, rf'layer{stage}\.(\d+)\.') for stage in range(1, 5))
    bottleneck = any(re.fullmatch(r'layer\d+\.\d+\.conv3\.weight', name) for name in state)
    depth = _DEPTHS.get((blocks, bottleneck))
    stem = _size(state, r'conv1\.weight', 0)
    base = _size(state, r'layer1\.\d+\.conv1\.weight', 0)
    if depth is None or stem < 1:
        raise ValueError(
            f'{path} holds a {title}, which is no ResNet-18, 34, 50, 101 or 152: give the '
            'checkpoint of its run'
        )
    return dict(type='ResNet', depth=depth, stem_channels=stem, base_channels=base)


def _size(state: Mapping[str, Tensor], pattern: str, dimension: int) -> int:
    """The most frequent size of a dimension among the tensors with such names; -1 for none."""
    sizes = Counter(
        value.shape[dimension]
        for name, value in state.items()
        if re.fullmatch(pattern, name) and value.ndim > abs(dimension + (dimension < 0))
    )
    return sizes.most_common(1)[0][0] if sizes else -1


def _count(names: Iterable[str], pattern: str) -> int:
    """One more than the largest number at the group of ``pattern``."""
    found = (re.match(pattern, name) for name in names)
    return max((int(match[1]) for match in found if match), default=-1) + 1


def _vit(state: Mapping[str, Tensor]) -> Blueprint:
    width = _size(state, r'layers\.\d+\.ln[12]\.weight', 0)
    depth = _count(state, r'layers\.(\d+)\.')
    if width < 0 or not depth:
        raise ValueError('no block of a vision transformer is complete enough to tell its width')
    hidden = _size(state, r'layers\.\d+\.ffn\.layers\.0\.0\.weight', 0)
    patch = _size(state, r'patch_embed\.projection\.weight', -1)
    result = Blueprint(f'ViT {depth} x {width}, patch {patch if patch > 0 else "unknown"}')
    shapes: dict[str, Shape] = {
        'cls_token': (1, 1, width),
        'pos_embed': (1, -1, width),
        'patch_embed.projection.weight': (width, -1, -1, -1),
        'patch_embed.projection.bias': (width,),
    }
    if any(name.startswith('pre_norm.') for name in state):  # CLIP: a norm for that bias
        del shapes['patch_embed.projection.bias']
        shapes |= {f'pre_norm.{leaf}': (width,) for leaf in ('weight', 'bias')}
    block: dict[str, Shape] = {
        'ln1.weight': (width,),
        'ln1.bias': (width,),
        'attn.qkv.weight': (3 * width, width),
        'attn.proj.weight': (width, width),
        'attn.proj.bias': (width,),
        'ln2.weight': (width,),
        'ln2.bias': (width,),
        'ffn.layers.0.0.weight': (hidden, width),
        'ffn.layers.0.0.bias': (hidden,),
        'ffn.layers.1.weight': (width, hidden),
        'ffn.layers.1.bias': (width,),
    }
    if any(name.endswith('.attn.qkv.bias') for name in state):  # built without, or with all
        block['attn.qkv.bias'] = (3 * width,)
    for index in range(depth):
        shapes |= {f'layers.{index}.{name}': shape for name, shape in block.items()}
    shapes |= {'ln1.weight': (width,), 'ln1.bias': (width,), 'mask_token': (1, 1, width)}
    result.shapes, result.optional = shapes, {'mask_token'}
    return result


def _resnet(state: Mapping[str, Tensor]) -> Blueprint:
    stem = _size(state, r'conv1\.weight', 0)
    bottleneck = any(re.fullmatch(r'layer\d+\.\d+\.conv3\.weight', name) for name in state)
    blocks = [_count(state, rf'layer{stage}\.(\d+)\.') for stage in range(1, 5)]
    if not any(blocks):
        raise ValueError('no stage of a ResNet is there')
    kind = 'bottleneck' if bottleneck else 'basic'
    result = Blueprint(
        f'ResNet of {"+".join(map(str, blocks))} {kind} blocks, width {stem if stem > 0 else "?"}'
    )
    shapes: dict[str, Shape] = {'conv1.weight': (stem, -1, -1, -1), **_norm('bn1', stem)}
    before = stem
    for stage, number in enumerate(blocks, 1):
        prefix = rf'layer{stage}\.\d+\.'
        middle = _size(state, prefix + r'conv1\.weight', 0)
        after = _size(state, prefix + r'conv3\.weight', 0) if bottleneck else middle
        for index in range(max(number, 1)):  # a lost stage is at least one block short
            name = f'layer{stage}.{index}'
            shapes |= _block(name, before, middle, after, bottleneck=bottleneck)
            # As PyTorch builds them: where the size of the map or its channels change.
            if index == 0 and (stage > 1 or before != after):
                shapes[f'{name}.downsample.0.weight'] = (after, before, 1, 1)
                shapes |= _norm(f'{name}.downsample.1', after)
            before = after
    result.shapes = shapes
    result.optional = {name for name in shapes if name.endswith('num_batches_tracked')}
    return result


def _norm(name: str, channels: int) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {f'{name}.{part}': (channels,) for part in _NORM}
    return {**shapes, f'{name}.num_batches_tracked': ()}


def _block(
    name: str, before: int, middle: int, after: int, *, bottleneck: bool
) -> dict[str, Shape]:
    # The input of the 3x3 convolution is a share of the channels where it is grouped (ResNeXt).
    shapes: dict[str, Shape] = {**_norm(f'{name}.bn1', middle), **_norm(f'{name}.bn2', middle)}
    if bottleneck:
        shapes[f'{name}.conv1.weight'] = (middle, before, 1, 1)
        shapes[f'{name}.conv2.weight'] = (middle, -1, 3, 3)
        shapes[f'{name}.conv3.weight'] = (after, middle, 1, 1)
        return {**shapes, **_norm(f'{name}.bn3', after)}
    shapes[f'{name}.conv1.weight'] = (middle, before, 3, 3)
    shapes[f'{name}.conv2.weight'] = (middle, middle, 3, 3)
    return shapes

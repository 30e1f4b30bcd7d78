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

from torch import Tensor

__all__ = ['Blueprint', 'blueprint', 'count', 'input_channels', 'is_rotary', 'size']

Shape = tuple[int, ...]

_NORM = ('weight', 'bias', 'running_mean', 'running_var')
# By family: what sees the pixels.
_FIRST = {
    'vit': r'patch_embed\.projection\.weight',
    'resnet': r'conv1\.weight',
    'convnext': r'downsample_layers\.0\.0\.weight',
}


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
        family: 'vit', 'resnet' or 'convnext'.

    Raises:
        ValueError: If too little is there to tell the size of the network.
    """
    return {'vit': _vit, 'resnet': _resnet, 'convnext': _convnext}[family](state)


def size(state: Mapping[str, Tensor], pattern: str, dimension: int) -> int:
    """The most frequent size of a dimension among the tensors with such names; -1 for none."""
    sizes = Counter(
        value.shape[dimension]
        for name, value in state.items()
        if re.fullmatch(pattern, name) and value.ndim > abs(dimension + (dimension < 0))
    )
    return sizes.most_common(1)[0][0] if sizes else -1


def input_channels(state: Mapping[str, Tensor], family: str) -> int:
    """Channels of the images that a backbone takes; -1 where the tensor that tells is not there."""
    return size(state, _FIRST[family], 1)


def count(names: Iterable[str], pattern: str) -> int:
    """One more than the largest number at the group of ``pattern``."""
    found = (re.match(pattern, name) for name in names)
    return max((int(match[1]) for match in found if match), default=-1) + 1


def _vit(state: Mapping[str, Tensor]) -> Blueprint:
    width = size(state, r'layers\.\d+\.ln[12]\.weight', 0)
    depth = count(state, r'layers\.(\d+)\.')
    if width < 0 or not depth:
        raise ValueError('no block of a vision transformer is complete enough to tell its width')
    patch = size(state, r'patch_embed\.projection\.weight', -1)
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
        **_mlp(state, width),
    }
    if any('.gamma' in name for name in state):  # LayerScale, in all blocks or none
        block |= {'attn.gamma1.weight': (width,), 'ffn.gamma2.weight': (width,)}
    if 'register_tokens' in state:
        registers = state['register_tokens'].shape[1] if state['register_tokens'].ndim == 3 else -1
        shapes['register_tokens'] = (1, registers, width)
        result.title += f', {registers} registers'
    if is_rotary(state):
        del shapes['pos_embed']
        shapes['rope.periods'] = (-1,)
        result.title += ', rotary positions'
    if any(name.endswith('.attn.qkv.bias') for name in state):  # built without, or with all
        block['attn.qkv.bias'] = (3 * width,)
    for index in range(depth):
        shapes |= {f'layers.{index}.{name}': shape for name, shape in block.items()}
    shapes |= {'ln1.weight': (width,), 'ln1.bias': (width,), 'mask_token': (1, 1, width)}
    if any(name.startswith('local_cls_norm.') for name in state):
        shapes |= {f'local_cls_norm.{leaf}': (width,) for leaf in ('weight', 'bias')}
    # Files of libraries have no periods: they are computed where none are loaded.
    result.shapes, result.optional = shapes, {'mask_token', 'rope.periods'}
    return result


def is_rotary(state: Mapping[str, Tensor]) -> bool:
    """Whether a ViT under our names has rotary positions: DINOv3 has, and registers always."""
    return 'rope.periods' in state or ('pos_embed' not in state and 'register_tokens' in state)


def _mlp(state: Mapping[str, Tensor], width: int) -> dict[str, Shape]:
    """The MLP of a block, plain or gated."""
    if any('.ffn.w12.' in name or '.ffn.w3.' in name for name in state):
        hidden = size(state, r'layers\.\d+\.ffn\.w3\.weight', 1)
        return {
            'ffn.w12.weight': (2 * hidden if hidden > 0 else -1, width),
            'ffn.w12.bias': (2 * hidden if hidden > 0 else -1,),
            'ffn.w3.weight': (width, hidden),
            'ffn.w3.bias': (width,),
        }
    hidden = size(state, r'layers\.\d+\.ffn\.layers\.0\.0\.weight', 0)
    return {
        'ffn.layers.0.0.weight': (hidden, width),
        'ffn.layers.0.0.bias': (hidden,),
        'ffn.layers.1.weight': (width, hidden),
        'ffn.layers.1.bias': (width,),
    }


def _convnext(state: Mapping[str, Tensor]) -> Blueprint:
    blocks = [count(state, rf'stages\.{stage}\.(\d+)\.') for stage in range(4)]
    if not all(blocks):
        raise ValueError('a stage of a ConvNeXt is not there')
    shapes: dict[str, Shape] = {}
    widths = [
        size(state, rf'stages\.{stage}\.\d+\.depthwise_conv\.weight', 0) for stage in range(4)
    ]
    for stage, (number, width) in enumerate(zip(blocks, widths, strict=True)):
        before = widths[stage - 1] if stage else input_channels(state, 'convnext')
        norm, conv = (1, 0) if stage == 0 else (0, 1)
        side = 4 if stage == 0 else 2
        down = f'downsample_layers.{stage}'
        shapes[f'{down}.{conv}.weight'] = (width, before, side, side)
        shapes[f'{down}.{conv}.bias'] = (width,)
        for leaf in ('weight', 'bias'):
            shapes[f'{down}.{norm}.{leaf}'] = (width if stage == 0 else before,)
        for index in range(number):
            block = f'stages.{stage}.{index}'
            shapes |= {
                f'{block}.depthwise_conv.weight': (width, 1, -1, -1),
                f'{block}.depthwise_conv.bias': (width,),
                f'{block}.norm.weight': (width,),
                f'{block}.norm.bias': (width,),
                f'{block}.pointwise_conv1.weight': (-1, width),
                f'{block}.pointwise_conv1.bias': (-1,),
                f'{block}.pointwise_conv2.weight': (width, -1),
                f'{block}.pointwise_conv2.bias': (width,),
                f'{block}.gamma': (width,),
            }
    norms = {f'norm{s}.{leaf}': (w,) for s, w in enumerate(widths) for leaf in ('weight', 'bias')}
    title = f'ConvNeXt of {"+".join(map(str, blocks))} blocks, width {widths[0]} to {widths[3]}'
    return Blueprint(title, shapes | norms, {name for name in norms if name < 'norm3'})


def _resnet(state: Mapping[str, Tensor]) -> Blueprint:
    stem = size(state, r'conv1\.weight', 0)
    bottleneck = any(re.fullmatch(r'layer\d+\.\d+\.conv3\.weight', name) for name in state)
    blocks = [count(state, rf'layer{stage}\.(\d+)\.') for stage in range(1, 5)]
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
        middle = size(state, prefix + r'conv1\.weight', 0)
        after = size(state, prefix + r'conv3\.weight', 0) if bottleneck else middle
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

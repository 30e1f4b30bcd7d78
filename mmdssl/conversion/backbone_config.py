"""The config of a backbone, read off its tensors."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mmdssl.conversion.architecture import (
    blueprint,
    count,
    input_channels,
    is_rotary,
    size,
)
from mmdssl.conversion.key_maps import family_of
from mmdssl.core.tokens import table_side

__all__ = ['backbone_config']

_CELLS = 16  # a side of the grid that DINOv3 was trained on; it has no table that says one
_HEAD = 64  # channels of an attention head of every ViT that is published
# Depth of a ResNet by blocks of its stages, and whether they are bottlenecks.
_DEPTHS: dict[tuple[tuple[int, ...], bool], int] = {
    ((2, 2, 2, 2), False): 18,
    ((3, 4, 6, 3), False): 34,
    ((3, 4, 6, 3), True): 50,
    ((3, 4, 23, 3), True): 101,
    ((3, 8, 36, 3), True): 152,
}


def backbone_config(state: Mapping[str, Tensor], path: str | Path) -> dict[str, Any]:
    """The config of the backbone that tensors are of, with the usual heads and strides.

    Args:
        state: Tensors of a backbone under our names.
        path: Of the file, for messages.

    Raises:
        ValueError: If they are of no ViT, ResNet or ConvNeXt, or of one that cannot be told by its
            tensors.
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
        settings = _resnet_config(state, path, plan.title)
    elif family == 'convnext':
        settings = _convnext_config(state)
    else:
        settings = _vit_config(state, path, plan.title)
    channels = input_channels(state, family)
    if channels > 0 and channels != 3:
        settings['in_channels'] = channels
    return settings


def _vit_config(state: Mapping[str, Tensor], path: str | Path, title: str) -> dict[str, Any]:
    width = size(state, r'layers\.\d+\.ln[12]\.weight', 0)
    patch = size(state, r'patch_embed\.projection\.weight', -1)
    table, periods = state.get('pos_embed'), state.get('rope.periods')
    rotary = is_rotary(state)
    head = _HEAD if periods is None else 4 * len(periods)
    other = any(name.startswith('pre_norm.') for name in state)  # CLIP, and its activations
    if width % head or patch < 1 or (table is None and not rotary) or other:
        raise ValueError(
            f'{path} holds a {title} of its own kind: its heads, patches or activations '
            'cannot be told by its tensors; give the checkpoint of its run'
        )
    gated = size(state, r'layers\.\d+\.ffn\.w3\.weight', 1)
    settings: dict[str, Any] = dict(
        type='DenseViT',
        arch=dict(
            embed_dims=width,
            num_layers=count(state, r'layers\.(\d+)\.'),
            num_heads=width // head,
            feedforward_channels=gated * 3 // 2
            if gated > 0
            else size(state, r'layers\.\d+\.ffn\.layers\.0\.0\.weight', 0),
        ),
        img_size=(table_side(table.shape[1]) if table is not None else _CELLS) * patch,
        patch_size=patch,
        with_mask_token=False,
    )
    if gated > 0:
        settings['ffn'] = 'gated'
    if rotary:
        settings['rope'] = dict()
    if 'register_tokens' in state:
        settings['registers'] = state['register_tokens'].shape[1]
    if any('.gamma' in name for name in state):
        settings['layer_scale_init_value'] = 1e-5
    return settings


def _convnext_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    stages = range(4)
    return dict(
        type='ConvNeXt',
        arch=dict(
            depths=[count(state, rf'stages\.{stage}\.(\d+)\.') for stage in stages],
            channels=[
                size(state, rf'stages\.{stage}\.\d+\.depthwise_conv\.weight', 0) for stage in stages
            ],
        ),
        gap_before_final_norm=False,
    )


def _resnet_config(state: Mapping[str, Tensor], path: str | Path, title: str) -> dict[str, Any]:
    blocks = tuple(count(state, rf'layer{stage}\.(\d+)\.') for stage in range(1, 5))
    bottleneck = any(re.fullmatch(r'layer\d+\.\d+\.conv3\.weight', name) for name in state)
    depth = _DEPTHS.get((blocks, bottleneck))
    stem = size(state, r'conv1\.weight', 0)
    base = size(state, r'layer1\.\d+\.conv1\.weight', 0)
    if depth is None or stem < 1:
        raise ValueError(
            f'{path} holds a {title}, which is no ResNet-18, 34, 50, 101 or 152: give the '
            'checkpoint of its run'
        )
    return dict(type='ResNet', depth=depth, stem_channels=stem, base_channels=base)

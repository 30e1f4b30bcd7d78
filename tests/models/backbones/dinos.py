"""Networks of the golden DINOv2 and DINOv3 files, built from the settings these hold."""

from pathlib import Path
from typing import Any

import torch

from mmdssl.conversion.convert import import_weights
from mmdssl.models.backbones import DenseViT
from tests.golden import Golden


def settings(golden: Golden) -> dict[str, Any]:
    """Arguments of a ViT that a golden file is of."""
    width, heads = golden.number('cfg_dim'), golden.number('cfg_heads')
    gated = str(golden.text('cfg_ffn')).startswith('swiglu')
    ratio = golden.number('cfg_ffn_ratio' if 'cfg_ffn_ratio' in golden else 'cfg_mlp_ratio')
    rotary = 'cfg_rope_base' in golden
    given: dict[str, Any] = dict(
        arch=dict(
            embed_dims=width,
            num_layers=golden.number('cfg_depth'),
            num_heads=heads,
            feedforward_channels=int(ratio * width),
        ),
        img_size=golden.number('cfg_img'),
        patch_size=golden.number('cfg_patch'),
        registers=golden.number('cfg_registers'),
        ffn='gated' if gated else 'mlp',
        layer_scale_init_value=1e-5,
        norm_cfg=dict(type='LN', eps=golden.number('cfg_norm_eps')),
    )
    if rotary:
        given['rope'] = dict(
            base=golden.number('cfg_rope_base'), normalize=golden.text('cfg_rope_normalize')
        )
    return given


def build(golden: Golden, folder: Path, kind: type = DenseViT, **more: Any) -> Any:
    """The network with the weights of the file, which go through an import and a strict load."""
    torch.save(dict(golden.sub('state/')), folder / 'theirs.pth')
    state = import_weights(folder / 'theirs.pth').state
    net = kind(**{**settings(golden), **more})
    own = {name.removeprefix('backbone.'): value for name, value in state.items()}
    net.load_state_dict(own, strict=kind is DenseViT and 'mask_token' in own)
    net.eval()  # of mmpretrain: returns nothing
    return net

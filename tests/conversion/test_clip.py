"""CLIP's image tower, as timm names it, becomes a teacher: every tensor finds its place."""

import torch
from mmpretrain.models.backbones import VisionTransformer

from mmdssl.conversion.convert import import_weights
from mmdssl.conversion.files import write_weights
from mmdssl.models.utils.frozen_teacher import FrozenTeacher

CLIP = dict(
    type='VisionTransformer',
    arch=dict(embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=48),
    img_size=32,
    patch_size=8,
    pre_norm=True,
    norm_cfg=dict(type='LN', eps=1e-5),
    layer_cfgs=dict(act_cfg=dict(type='mmpretrain.QuickGELU')),
    out_type='raw',
)
NAMES = {
    'patch_embed.projection': 'patch_embed.proj',
    'ffn.layers.0.0': 'mlp.fc1',
    'ffn.layers.1': 'mlp.fc2',
    'layers.': 'blocks.',  # after those of the MLP
    'pre_norm': 'norm_pre',
}


def as_timm(name: str) -> str:
    if name.startswith('ln1'):
        return name.replace('ln1', 'norm')
    for ours, theirs in NAMES.items():
        name = name.replace(ours, theirs)
    return name.replace('.ln', '.norm')


def test_clip_of_timm_is_imported_whole(tmp_path):
    torch.manual_seed(0)
    net = VisionTransformer(**{k: v for k, v in CLIP.items() if k != 'type'})
    state = {as_timm(n): torch.randn_like(v) for n, v in net.state_dict().items()}
    assert {'norm_pre.weight', 'norm.bias', 'blocks.1.mlp.fc2.bias'} <= state.keys()
    state |= {'head.weight': torch.randn(8, 24), 'head.bias': torch.randn(8)}
    torch.save(state, tmp_path / 'timm.pth')
    imported = import_weights(tmp_path / 'timm.pth', source='timm')
    assert imported.coverage == 1
    write_weights(imported.state, imported.meta, tmp_path / 'teacher.pth')
    teacher = FrozenTeacher(backbone=CLIP, checkpoint=str(tmp_path / 'teacher.pth'))
    teacher.init_weights()
    for name, value in teacher.backbone.state_dict().items():
        assert torch.equal(value, state[as_timm(name)]), name

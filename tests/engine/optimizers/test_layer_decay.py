"""Layer decay against a table worked out by hand."""

import pytest
import torch
from torch import nn

from mmdssl.models.backbones import TapViT
from mmdssl.registry import OPTIM_WRAPPER_CONSTRUCTORS

LR, DECAY = 1.0, 0.05
TINY = dict(embed_dims=24, num_layers=4, num_heads=3, feedforward_channels=48)


class Detector(nn.Module):
    """The names of a detector, without one."""

    def __init__(self, arch: dict | str = TINY, tap_norm: bool = True) -> None:
        super().__init__()
        self.backbone = TapViT(arch=arch, img_size=32, out_indices=(0, 1, 2, 3), tap_norm=tap_norm)
        self.neck = nn.Sequential(nn.ConvTranspose2d(24, 24, 2), nn.BatchNorm2d(24))
        self.roi_head = nn.Linear(4, 4)
        self.roi_head.relative = nn.Module()  # a bias of positions is a table
        self.roi_head.relative.bias = nn.Parameter(torch.zeros(3, 4))


def settings(model, **paramwise):
    """{name: (lr, weight decay, layer id)} as the optimizer has them, and the wrapper."""
    wrapper = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='LayerDecayOptimWrapperConstructor',
            optim_wrapper_cfg=dict(
                type='OptimWrapper', optimizer=dict(type='AdamW', lr=LR, weight_decay=DECAY)
            ),
            paramwise_cfg=paramwise,
        )
    )(model)
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        names[id(p)]: (group['lr'], group['weight_decay'], group['layer_id'])
        for group in wrapper.optimizer.param_groups
        for p in group['params']
    }, wrapper


# Rate 1/2 and 4 blocks: the last of 6 depths has the full rate, each before it half of the next.
BY_HAND = {
    'backbone.cls_token': (1 / 32, DECAY, 0),
    'backbone.pos_embed': (1 / 32, DECAY, 0),
    'backbone.patch_embed.projection.weight': (1 / 32, DECAY, 0),
    'backbone.patch_embed.projection.bias': (1 / 32, 0.0, 0),
    'backbone.layers.0.ln1.weight': (1 / 16, 0.0, 1),
    'backbone.layers.0.attn.qkv.weight': (1 / 16, DECAY, 1),
    'backbone.layers.1.attn.proj.bias': (1 / 8, 0.0, 2),
    'backbone.layers.2.ffn.layers.0.0.weight': (1 / 4, DECAY, 3),
    'backbone.layers.3.ffn.layers.1.weight': (1 / 2, DECAY, 4),
    'backbone.layers.3.ln2.bias': (1 / 2, 0.0, 4),
    'backbone.ln1.weight': (1.0, 0.0, 5),
    'neck.0.weight': (1.0, DECAY, 5),
    'neck.0.bias': (1.0, 0.0, 5),
    'neck.1.weight': (1.0, 0.0, 5),
    'roi_head.weight': (1.0, DECAY, 5),
    'roi_head.bias': (1.0, 0.0, 5),
    'roi_head.relative.bias': (1.0, 0.0, 5),
}


def test_groups_are_those_of_the_table():
    model = Detector()
    found, wrapper = settings(model, decay_rate=0.5)
    assert {name: found[name] for name in BY_HAND} == BY_HAND
    assert set(found) == {name for name, _ in model.named_parameters()}
    # a logger shows the rate of the heads, not that of the first group
    assert wrapper.get_lr()['base_lr'] == [LR]


def test_vit_small_has_the_published_ids_and_scales():
    found, _ = settings(Detector('deit-small', tap_norm=False), decay_rate=0.8)
    published = {0: 0.8**13, 1: 0.8**12, 12: 0.8, 13: 1.0}
    for name, layer in {
        'backbone.pos_embed': 0,
        'backbone.layers.0.ln1.bias': 1,
        'backbone.layers.11.attn.qkv.weight': 12,
        'neck.0.weight': 13,
    }.items():
        lr, _, depth = found[name]
        assert depth == layer
        assert lr == pytest.approx(published[layer])


def test_tokens_and_positions_can_be_exempt_from_decay():
    found, _ = settings(Detector(), decay_rate=0.5, decay_pos_cls=False)
    changed = {name for name in BY_HAND if found[name] != BY_HAND[name]}
    assert changed == {'backbone.cls_token', 'backbone.pos_embed'}
    assert found['backbone.pos_embed'] == (1 / 32, 0.0, 0)


def test_frozen_parameters_are_left_out():
    model = Detector()
    model.backbone.requires_grad_(False)
    found, _ = settings(model, decay_rate=0.5)
    assert {name.split('.')[0] for name in found} == {'neck', 'roi_head'}


def test_a_step_moves_deep_layers_more():
    model = Detector()
    _, wrapper = settings(model, decay_rate=0.5)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    wrapper.optimizer.step()
    moved = {
        name: float((p.detach() - before[name]).abs().max())
        for name, p in model.named_parameters()
        if name.endswith('bias')
    }
    assert moved['backbone.layers.0.attn.qkv.bias'] == pytest.approx(1 / 16, rel=1e-3)
    assert moved['roi_head.bias'] == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize(
    ('paramwise', 'words'),
    [
        (dict(), 'decay_rate is None'),
        (dict(decay_rate=1.5), 'decay_rate is 1.5'),
        (dict(decay_rate=0.8, layers=12), "'layers'.* unknown"),
    ],
)
def test_impossible_settings_are_refused(paramwise, words):
    with pytest.raises(ValueError, match=words):
        settings(Detector(), **paramwise)


def test_a_backbone_without_depths_is_refused():
    model = Detector()
    model.backbone = nn.Linear(2, 2)
    with pytest.raises(ValueError, match='Linear does not; use TapViT'):
        settings(model, decay_rate=0.8)

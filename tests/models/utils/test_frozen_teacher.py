"""The frozen teacher: one pass gives hidden states and importance; it never changes."""

import pytest
import torch
from torch import nn

from mmdssl.models.utils import frozen_net
from mmdssl.models.utils.frozen_teacher import FrozenTeacher
from tests.models.tiny_maskalign import SIDE, arch, teacher_config, tiny_teacher


def images(side: int = SIDE) -> torch.Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(5))


def test_hidden_states_and_importance_are_those_of_the_blocks():
    teacher = tiny_teacher()
    seen = teacher(images())
    x, _ = teacher.backbone.embed(images())
    for layer, hidden in zip(teacher.backbone.layers, seen.hidden, strict=True):
        x = layer(x)
        torch.testing.assert_close(hidden, x)
    attention = teacher.backbone.last_attention(images())  # (N, heads, T, T)
    torch.testing.assert_close(seen.importance, attention[:, :, 0, 1:].mean(dim=1))
    assert seen.importance.std() > 1e-3
    assert not any(layer._forward_hooks for layer in teacher.backbone.modules())


def test_chosen_layers_come_in_the_order_asked_for():
    teacher = tiny_teacher()
    everything, some = teacher(images()).hidden, teacher(images(), (2, 0)).hidden
    assert torch.equal(some[0], everything[2])
    assert torch.equal(some[1], everything[0])


def test_mmpretrains_own_vit_with_a_norm_before_the_blocks_serves():
    """CLIP's architecture."""
    teacher = tiny_teacher(
        type='VisionTransformer',
        pre_norm=True,
        out_type='raw',
        norm_cfg=dict(type='LN', eps=1e-5),
        layer_cfgs=dict(act_cfg=dict(type='mmpretrain.QuickGELU')),
    )
    seen = teacher(images())
    assert [h.shape for h in seen.hidden] == [(2, 17, 16)] * 3
    last = teacher.backbone.ln1(seen.hidden[-1])
    torch.testing.assert_close(last, teacher.backbone(images())[-1])


def test_images_are_resized_so_that_the_grids_agree():
    teacher = tiny_teacher(patch_size=7, img_size=28)
    assert teacher.grid == (4, 4)
    assert teacher.view(images()).shape == (2, 3, 28, 28)
    assert teacher(images()).importance.shape == (2, 16)


def test_it_stays_in_evaluation_mode_and_out_of_the_optimizer():
    teacher = tiny_teacher(drop_path_rate=0.5)
    host = nn.Sequential(teacher)
    host.train()
    assert not any(module.training for module in teacher.modules())
    assert not any(parameter.requires_grad for parameter in host.parameters())
    assert torch.equal(teacher(images()).hidden[-1], teacher(images()).hidden[-1])


def test_half_precision_leaves_the_importance_in_float32():
    teacher = tiny_teacher()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        seen = teacher(images())
    assert seen.importance.dtype == torch.float32
    torch.testing.assert_close(seen.importance, teacher(images()).importance, rtol=0.1, atol=0.01)


def test_weights_come_from_a_run_of_this_package(tmp_path):
    one, file = tiny_teacher(), tmp_path / 'run.pth'
    state = one.backbone.state_dict()
    torch.save(
        dict(
            state_dict={
                **{f'backbone.{k}': torch.zeros_like(v) for k, v in state.items()},
                **{f'teacher.backbone.{k}': v for k, v in state.items()},
            },
            meta=dict(evaluated_backbone='teacher'),
        ),
        file,
    )
    settings = {**teacher_config(), 'init': 'pretrained', 'checkpoint': str(file)}
    settings.pop('type')
    other = FrozenTeacher(**settings)
    other.init_weights()
    assert all(torch.equal(v, state[k]) for k, v in other.backbone.state_dict().items())


def test_no_weights_are_refused_unless_random_ones_are_asked_for(monkeypatch):
    vit = dict(type='DenseViT', arch=arch(16), img_size=SIDE, patch_size=8)
    with pytest.raises(ValueError, match='checkpoint=FILE'):
        FrozenTeacher(backbone=vit)
    with pytest.raises(ValueError, match="'nothing'"):
        FrozenTeacher(backbone=vit, init='nothing')
    with pytest.raises(ValueError, match='together'):
        FrozenTeacher(backbone=vit, init='random', mean=[0, 0, 0])
    teacher = FrozenTeacher(backbone=vit, init='random', checkpoint='gone.pth')
    teacher.check_checkpoint()
    said = []
    monkeypatch.setattr(frozen_net, 'print_log', lambda text, **_: said.append(text))
    teacher.init_weights()
    assert len(said) == 1
    assert 'RANDOM WEIGHTS' in said[0]

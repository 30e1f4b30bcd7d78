"""Parameter groups: which parameter lands where, and that there are two."""

import pytest
import torch
from torch import nn

from mmdssl.registry import OPTIM_WRAPPER_CONSTRUCTORS


class Host(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.cls_token = nn.Parameter(torch.zeros(1, 1, 4))
        self.backbone.pos_embed = nn.Parameter(torch.zeros(1, 5, 4))
        self.backbone.mask_token = nn.Parameter(torch.zeros(1, 4))
        self.backbone.frozen = nn.Parameter(torch.zeros(3, 4), requires_grad=False)
        self.backbone.layers = nn.ModuleList([nn.Linear(4, 4), nn.LayerNorm(4)])
        self.head = nn.Linear(4, 2)
        self.teacher = nn.Linear(4, 2).requires_grad_(False)


def groups(model, **kwargs):
    """{name: group index} and the groups of the optimizer."""
    optimizer = kwargs.pop('optimizer', dict(type='AdamW', lr=0.1, weight_decay=0.5))
    wrapper = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='SelfSupOptimWrapperConstructor',
            optim_wrapper_cfg=dict(optimizer=optimizer),
            paramwise_cfg=kwargs or None,
        )
    )(model)
    param_groups = wrapper.optimizer.param_groups
    names = {id(p): name for name, p in model.named_parameters()}
    where = {names[id(p)]: i for i, group in enumerate(param_groups) for p in group['params']}
    return where, param_groups


def test_two_groups_biases_and_vectors_without_decay():
    where, param_groups = groups(Host())
    assert [group['weight_decay'] for group in param_groups] == [0.5, 0.0]
    assert where == {
        'backbone.cls_token': 0,
        'backbone.pos_embed': 0,
        'backbone.mask_token': 0,
        'backbone.layers.0.weight': 0,
        'head.weight': 0,
        'backbone.layers.0.bias': 1,
        'backbone.layers.1.weight': 1,
        'backbone.layers.1.bias': 1,
        'head.bias': 1,
    }


def test_tokens_and_positions_can_be_exempt():
    where, param_groups = groups(Host(), decay_pos_cls=False)
    assert len(param_groups) == 2
    assert {name for name, index in where.items() if index == 0} == {
        'backbone.layers.0.weight',
        'head.weight',
    }


def test_custom_keys_multiply_and_leave_biases_without_decay():
    where, param_groups = groups(
        Host(), custom_keys={'head': dict(lr_mult=10.0), 'mask': dict(decay_mult=2.0, tag='m')}
    )
    head, bias = param_groups[where['head.weight']], param_groups[where['head.bias']]
    assert (head['lr'], head['weight_decay']) == (1.0, 0.5)
    assert (bias['lr'], bias['weight_decay']) == (1.0, 0.0)
    mask = param_groups[where['backbone.mask_token']]
    assert (mask['lr'], mask['weight_decay'], mask['tag']) == (0.1, 1.0, 'm')
    assert len(param_groups) == 5


def test_longest_custom_key_counts():
    where, param_groups = groups(
        Host(),
        custom_keys={'backbone': dict(lr_mult=0.1), 'backbone.layers': dict(lr_mult=0.5)},
    )
    assert param_groups[where['backbone.layers.0.weight']]['lr'] == 0.05
    assert param_groups[where['backbone.cls_token']]['lr'] == pytest.approx(0.01)


def test_shared_parameters_come_once():
    model = Host()
    model.head2 = model.head
    where, _ = groups(model)
    assert 'head.weight' in where


def test_foreach_passes_through():
    _, param_groups = groups(
        Host(), optimizer=dict(type='AdamW', lr=0.1, weight_decay=0.5, foreach=True)
    )
    assert all(group['foreach'] for group in param_groups)


def test_data_parallel_wrapper_is_seen_through():
    model = nn.DataParallel(Host())
    where, _ = groups(model)
    assert 'module.head.weight' in where


def trainable_teacher():
    model = Host()
    model.teacher.requires_grad_(True)
    return model


@pytest.mark.parametrize(
    ('model', 'kwargs', 'message'),
    [
        (Host(), dict(norm_decay_mult=0.0), r'norm_decay_mult.*decay_pos_cls'),
        (Host(), dict(custom_keys={'hed': dict(lr_mult=2.0)}), r"named by \['hed'\]"),
        (trainable_teacher(), {}, r'teacher\.weight requires gradients'),
        (Host().requires_grad_(False), {}, 'no trainable parameter'),
    ],
)
def test_mistakes_are_named(model, kwargs, message):
    with pytest.raises(ValueError, match=message):
        groups(model, **kwargs)


def test_multiplier_without_a_base_is_named():
    with pytest.raises(ValueError, match='multiply weight_decay'):
        groups(
            Host(),
            optimizer=dict(type='SGD', lr=0.1),
            custom_keys={'head': dict(decay_mult=2.0)},
        )

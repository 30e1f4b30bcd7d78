"""Names of every dialect and back, bit-equal; what has no place is said, not lost silently."""

from functools import cache

import pytest
import torch

from mmdssl.conversion.key_maps import DIALECTS, family_of, translate
from tests.conversion.nets import convnext, dinov2, dinov3, resnet, vit

_PLAIN = ('ours', 'mmpretrain', 'official', 'timm', 'torchvision')
# Each kind of network, and whose names there are for it.
NETS = {
    'vit': (vit, _PLAIN),
    'resnet18': (lambda: resnet(18), _PLAIN),
    'resnet50': (lambda: resnet(50), _PLAIN),
    'dinov2': (dinov2, ('ours', 'mmpretrain', 'dinov2', 'hf2', 'timm')),
    'dinov3': (dinov3, ('ours', 'mmpretrain', 'dinov3', 'hf3', 'timm3')),
    'convnext': (convnext, ('ours', 'mmpretrain', 'dinov3', 'hf3', 'timm')),
}


@cache
def state_of(name):
    return NETS[name][0]().state_dict()


def test_every_dialect_is_tried():
    assert {name for _, dialects in NETS.values() for name in dialects} == set(DIALECTS)


@pytest.mark.parametrize(
    ('net', 'dialect'), [(net, dialect) for net, (_, known) in NETS.items() for dialect in known]
)
def test_there_and_back_is_bit_equal_for_every_dialect(net, dialect):
    state = state_of(net)
    family = family_of(state, 'ours')
    there = translate(state, family, 'ours', dialect)
    assert not there.unknown
    without_mask = ('mmpretrain', 'timm', 'timm3', 'torchvision')
    expected = {'mask_token'} if family == 'vit' and dialect in without_mask else set()
    expected |= {'rope.periods'} & {*state} if dialect in ('hf3', 'timm3') else set()
    assert {*there.left_out} == expected
    back = translate(there.state, family, dialect, 'ours')
    assert not back.unknown
    assert not back.left_out
    assert {*back.state, *there.left_out} == {*state}
    for name, value in back.state.items():
        assert value.dtype == state[name].dtype
        assert torch.equal(value, state[name]), name


@pytest.mark.parametrize('net', list(NETS))
def test_every_pair_of_dialects_agrees_with_the_way_over_ours(net):
    state, dialects = state_of(net), NETS[net][1]
    family = family_of(state, 'ours')
    of = {dialect: translate(state, family, 'ours', dialect).state for dialect in dialects}
    for one in dialects:
        for two in dialects:
            direct = translate(of[one], family, one, two).state
            common = {name: value for name, value in of[two].items() if name in direct}
            assert len(common) >= len(of[two]) - 2  # mask token and periods, which few have
            assert all(torch.equal(direct[name], value) for name, value in common.items())


def test_names_are_those_worked_out_by_hand():
    ours = {'layers.11.ffn.layers.0.0.bias': torch.ones(2), 'ln1.weight': torch.ones(3)}
    assert list(translate(ours, 'vit', 'ours', 'timm').state) == [
        'blocks.11.mlp.fc1.bias',
        'norm.weight',
    ]
    assert list(translate(ours, 'vit', 'ours', 'torchvision').state) == [
        'encoder.layers.encoder_layer_11.mlp.0.bias',
        'encoder.ln.weight',
    ]


def test_published_torchvision_files_have_older_names_of_the_mlp():
    name = 'encoder.layers.encoder_layer_3.mlp.linear_2.weight'
    read = translate({name: torch.ones(1)}, 'vit', 'torchvision', 'ours')
    assert list(read.state) == ['layers.3.ffn.layers.1.weight']


def test_a_mask_token_changes_its_shape_only():
    token = torch.randn(1, 1, 6)
    official = translate({'mask_token': token}, 'vit', 'ours', 'official').state['masked_embed']
    assert torch.equal(official, token[0])


def test_strangers_are_named_and_not_half_matched():
    state = {'blocks.0.ls3.gamma': torch.ones(1), 'blocks.0.norm1.weight.more': torch.ones(1)}
    result = translate(state, 'vit', 'timm', 'ours')
    assert result.unknown == list(state)
    assert not result.state


def test_two_names_for_one_parameter_are_refused():
    prefix = 'encoder.layers.encoder_layer_0.mlp.'
    state = {f'{prefix}0.bias': torch.ones(1), f'{prefix}linear_1.bias': torch.zeros(1)}
    with pytest.raises(ValueError, match='both'):
        translate(state, 'vit', 'torchvision', 'ours')


def test_no_family_knows_a_file_of_something_else():
    assert family_of(['transformer.h.0.weight'], 'timm') is None

"""Names of every dialect and back, bit-equal; what has no place is said, not lost silently."""

import pytest
import torch

from mmdssl.conversion.key_maps import DIALECTS, family_of, translate
from tests.conversion.nets import resnet, vit

NETS = {'vit': vit, 'resnet18': lambda: resnet(18), 'resnet50': lambda: resnet(50)}


@pytest.fixture(scope='module', params=list(NETS))
def net(request):
    return NETS[request.param]()


@pytest.mark.parametrize('dialect', DIALECTS)
def test_there_and_back_is_bit_equal_for_every_dialect(net, dialect):
    state = net.state_dict()
    family = family_of(state, 'ours')
    there = translate(state, family, 'ours', dialect)
    assert not there.unknown
    assert there.left_out == (
        ['mask_token'] if family == 'vit' and dialect not in ('ours', 'official') else []
    )
    back = translate(there.state, family, dialect, 'ours')
    assert not back.unknown
    assert not back.left_out
    assert {*back.state, *there.left_out} == {*state}
    for name, value in back.state.items():
        assert value.dtype == state[name].dtype
        assert torch.equal(value, state[name]), name


def test_every_pair_of_dialects_agrees_with_the_way_over_ours(net):
    state = net.state_dict()
    family = family_of(state, 'ours')
    of = {dialect: translate(state, family, 'ours', dialect).state for dialect in DIALECTS}
    for one in DIALECTS:
        for two in DIALECTS:
            direct = translate(of[one], family, one, two).state
            common = {name: value for name, value in of[two].items() if name in direct}
            assert len(common) >= len(of[two]) - 1  # the mask token, which few have
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
    state = {'blocks.0.ls1.gamma': torch.ones(1), 'blocks.0.norm1.weight.more': torch.ones(1)}
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

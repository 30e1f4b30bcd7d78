"""Completeness is judged without the target: every lost, bent or foreign tensor shows."""

import io

import pytest
import torch
from rich.console import Console

from mmdssl.conversion.architecture import blueprint
from mmdssl.conversion.coverage import as_table, measure
from tests.conversion.nets import resnet, vit

NETS = {
    'vit': ('vit', vit),
    'vit_without_qkv_bias': ('vit', lambda: vit(qkv_bias=False)),
    'resnet18': ('resnet', lambda: resnet(18)),
    'resnet50': ('resnet', lambda: resnet(50)),
}


@pytest.mark.parametrize('kind', list(NETS))
def test_blueprint_lists_exactly_the_tensors_of_the_real_network(kind):
    family, build = NETS[kind]
    state = build().state_dict()
    plan = blueprint(state, family)
    assert set(plan.shapes) == set(state)
    assert measure(state, plan).share == 1


@pytest.mark.parametrize('kind', list(NETS))
def test_any_lost_tensor_is_missing(kind):
    family, build = NETS[kind]
    state = build().state_dict()
    for name in list(state)[:: 1 if len(state) < 150 else 6]:
        rest = {n: v for n, v in state.items() if n != name}
        plan = blueprint(rest, family)
        report = measure(rest, plan)
        assert (name in report.missing) == (name not in plan.optional), name
        assert (report.share < 1) == (name not in plan.optional), name


def test_a_lost_stage_is_missing():
    state = {n: v for n, v in resnet(18).state_dict().items() if not n.startswith('layer4.')}
    report = measure(state, blueprint(state, 'resnet'))
    assert 'layer4.0.conv1.weight' in report.missing
    assert report.share < 1


def test_wrong_shapes_and_strangers_lower_coverage():
    state = vit().state_dict()
    state['ln1.weight'] = torch.ones(23)
    report = measure(
        state, blueprint(state, 'vit'), unknown={'gamma': torch.ones(5)}, left_out=['head.weight']
    )
    assert report.mismatched == ('ln1.weight: (23,) instead of (24,)',)
    assert report.unexpected == ('gamma',)
    assert report.left_out == ('head.weight',)
    assert report.share == pytest.approx((len(state) - 1) / (len(state) + 1))


def test_share_is_the_smaller_of_tensors_and_values():
    state = resnet(18).state_dict()
    name, value = max(state.items(), key=lambda item: item[1].numel())
    rest = {n: v for n, v in state.items() if n != name}
    total = sum(v.numel() for v in state.values())
    share = measure(rest, blueprint(rest, 'resnet')).share
    assert share == pytest.approx(1 - value.numel() / total)


def test_no_network_is_one_sentence():
    with pytest.raises(ValueError, match='no block of a vision transformer'):
        blueprint({'cls_token': torch.ones(1, 1, 4)}, 'vit')


def test_table_shows_every_kind():
    state = vit().state_dict()
    del state['cls_token']
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(as_table([measure(state, blueprint(state, 'vit'))], 'a -> b'))
    text = console.export_text()
    for word in ('matched', 'missing', 'cls_token', 'shape mismatch', 'unexpected', 'coverage'):
        assert word in text

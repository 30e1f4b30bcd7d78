"""IBOTHead against the official head."""

import pytest
import torch

from mmdssl.conversion.official_ibot import head_from_official
from mmdssl.models.heads.ibot_head import IBOTHead
from tests.golden import Golden, assert_close


def build(golden: Golden, shared_head: bool, dtype: torch.dtype = torch.float32) -> IBOTHead:
    state = golden.sub('state/')
    layers = sorted(
        int(key.split('.')[1]) for key in state if key.startswith('mlp.') and key.endswith('weight')
    )
    head = IBOTHead(
        in_channels=state['mlp.0.weight'].shape[1],
        hidden_channels=state['mlp.0.weight'].shape[0],
        bottleneck_channels=state['last_layer.weight_v'].shape[1],
        out_channels=len(state['last_layer.weight_v']),
        patch_out_channels=len(state['last_layer2.weight_v']),
        num_layers=len(layers),
        shared_head=shared_head,
    )
    head.load_state_dict(head_from_official(state, shared=shared_head), strict=True)
    return head.to(dtype)


@pytest.mark.golden
@pytest.mark.parametrize('kind', ['shared', 'separate'])
def test_head_equals_official(shared, kind):
    golden = Golden.load(shared('golden/ibot_head.npz')).sub(f'{kind}/')
    head = build(golden, kind == 'shared')
    cls, patch = head(golden['in_tokens'])
    assert_close(cls, golden['out_cls'])
    assert_close(patch, golden['out_patch'])
    assert_close(head.cls_logits(head.project(golden['in_cls_only'])), golden['out_cls_only'])
    assert_close(head.last_layer.weight, golden['effective_weight'])
    (cls.square().sum() + patch.square().sum()).backward()
    weight = head.last_layer.parametrizations.weight
    assert_close(weight.original0.grad, golden['grad_weight_g'])
    assert_close(weight.original1.grad, golden['grad_weight_v'])

    wide = build(golden, kind == 'shared', torch.float64)
    cls, patch = wide(golden['in_tokens'].double())
    assert_close(cls, golden['out_cls_f64'], 1e-6)
    assert_close(patch, golden['out_patch_f64'], 1e-6)


def test_frozen_norm_keeps_g_at_one():
    head = IBOTHead(
        in_channels=8,
        hidden_channels=8,
        bottleneck_channels=4,
        out_channels=6,
        norm_last_layer=True,
    )
    assert not head.last_layer.parametrizations.weight.original0.requires_grad
    torch.testing.assert_close(head.last_layer.weight.norm(dim=1), torch.ones(6))


def test_shared_head_refuses_two_widths():
    with pytest.raises(ValueError, match='shared_head=False'):
        IBOTHead(in_channels=8, out_channels=6, patch_out_channels=7)

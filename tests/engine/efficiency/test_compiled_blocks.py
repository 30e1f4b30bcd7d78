import copy

import pytest
import torch
from torch import nn

from mmdssl.engine.efficiency import compiled_blocks
from mmdssl.engine.efficiency.compiled_blocks import compile_blocks
from tests.models.tiny import tiny_batch, tiny_ibot
from tests.models.tiny_resnet import tiny_densecl

DROPPING = dict(
    type='DenseViT',
    arch=dict(embed_dims=24, num_layers=3, num_heads=3, feedforward_channels=48),
    img_size=32,
    patch_size=8,
    drop_path_rate=0.5,
)


@pytest.fixture
def eager(monkeypatch):
    """The shared function as it is: what the compiler makes of it is tested on its own."""
    made = []
    monkeypatch.setattr(torch, 'compile', lambda function, **_: made.append(function) or function)
    return made


def test_blocks_keep_parameters_names_and_results(eager):
    model = tiny_ibot(decoupling=dict(type='DecouplingBranch')).train()
    changed = copy.deepcopy(model)
    assert compile_blocks(changed) == 4  # two of the student, two of the teacher
    assert len(eager) == 1  # one code for all
    assert list(changed.state_dict()) == list(model.state_dict())
    batch = tiny_batch()
    for one, two in zip(model.loss(batch).values(), changed.loss(batch).values(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-7)


def test_stochastic_depth_keeps_its_rate_and_its_mean(eager):
    model = tiny_ibot(backbone=DROPPING)
    before = [layer.attn.out_drop.drop_prob for layer in model.backbone.layers]
    compile_blocks(model)
    rates = [float(layer.attn.out_drop.rate) for layer in model.backbone.layers]
    assert rates == pytest.approx(before)
    assert rates[-1] == 0.5
    torch.manual_seed(0)
    drop = model.backbone.layers[-1].ffn.dropout_layer.train()
    out = drop(torch.ones(4000, 1, 2))
    assert set(out.unique().tolist()) == {0.0, 2.0}  # whole samples, scaled up
    assert torch.equal(out[:, 0, 0], out[:, 0, 1])
    assert out.mean() == pytest.approx(1.0, abs=0.05)
    assert torch.equal(drop.eval()(out), out)
    half = model.backbone.layers[0].attn.out_drop.train()(torch.ones(4000, 1, 1).bfloat16())
    assert half.eq(1).all()  # a rate of 0 drops nothing and scales nothing, also in bfloat16


def test_a_copy_computes_with_its_own_weights(eager):
    model = tiny_ibot()
    compile_blocks(model)
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.backbone.layers.parameters():
            parameter.zero_()
    images = torch.randn(2, 3, 32, 32)
    assert not torch.equal(
        model.backbone.forward_tokens(images), other.backbone.forward_tokens(images)
    )


def test_convolutional_networks_are_left_alone():
    assert compile_blocks(tiny_densecl()) == 0
    assert compile_blocks(nn.Linear(2, 2)) == 0


@pytest.mark.slow
def test_the_compiler_makes_one_graph_a_mode_and_shape_and_computes_the_same():
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model = tiny_ibot(decoupling=dict(type='DecouplingBranch')).train()
    compiled, batch = copy.deepcopy(model), tiny_batch()
    compile_blocks(compiled)
    for _ in range(2):
        one, two = (sum(net.loss(batch).values()) for net in (model, compiled))
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)
        one.backward()
        two.backward()
    for one, two in zip(model.parameters(), compiled.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-5)
    stats = torch._dynamo.utils.counters
    assert not stats['graph_break']
    # Teacher, student, student on X^D.
    assert stats['stats']['unique_graphs'] == 3
    assert torch._dynamo.config.recompile_limit >= compiled_blocks._VARIANTS

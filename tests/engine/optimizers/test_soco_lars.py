"""SoCoLARS: the official numbers, groups of the constructor, resuming, bad settings."""

import copy

import pytest
import torch
from torch import nn

from mmdssl.engine.optimizers.soco_lars import SoCoLARS
from mmdssl.registry import OPTIM_WRAPPER_CONSTRUCTORS
from tests.golden import Golden, assert_close


@pytest.mark.golden
@pytest.mark.parametrize('exclude', ['one dimension', 'group'])
def test_three_steps_equal_official(shared, exclude):
    golden = Golden.load(shared('golden/soco_loss.npz')).sub('lars/')
    names = golden.strings('names')
    one_dimensional = golden['is_1d_no_decay_no_scaling'].tolist()
    params = {name: nn.Parameter(golden[f'param0/{name}'].double()) for name in names}
    groups: list[dict] = [dict(params=list(params.values()))]
    if exclude == 'group':
        excluded = [params[n] for n, plain in zip(names, one_dimensional, strict=True) if plain]
        others = [params[n] for n, plain in zip(names, one_dimensional, strict=True) if not plain]
        groups = [dict(params=others), dict(params=excluded, lars_exclude=True)]
    optimizer = SoCoLARS(
        groups,
        lr=1.0,
        momentum=golden.number('momentum'),
        weight_decay=golden.number('weight_decay'),
        trust=golden.number('trust'),
        eps=golden.number('eps'),
    )
    for step, lr in enumerate(golden['lrs'].tolist()):
        for group in optimizer.param_groups:
            group['lr'] = lr
        for name, parameter in params.items():
            parameter.grad = golden[f'grad_step{step}/{name}'].double()
        optimizer.step()
        for name, parameter in params.items():
            # the file computes in single precision
            assert_close(parameter.data, golden[f'param{step + 1}/{name}'], 1e-5, f'{step} {name}')


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def train(net: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for seed in steps:
        torch.manual_seed(seed)
        optimizer.zero_grad()
        net(torch.randn(4, 3, 3, 3)).square().sum().backward()
        optimizer.step()


def test_built_by_the_constructor_with_groups_of_decayed_and_plain_tensors():
    wrapper = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='SelfSupOptimWrapperConstructor',
            optim_wrapper_cfg=dict(optimizer=dict(type='SoCoLARS', lr=1.0, weight_decay=1e-5)),
        )
    )(model())
    optimizer = wrapper.optimizer
    assert isinstance(optimizer, SoCoLARS)
    assert [len(group['params']) for group in optimizer.param_groups] == [2, 4]


def test_gradients_are_left_as_they_are():
    net = model()
    optimizer = SoCoLARS(net.parameters(), lr=1.0, weight_decay=0.1)
    net(torch.randn(4, 3, 3, 3)).sum().backward()
    before = [parameter.grad.clone() for parameter in net.parameters()]
    optimizer.step()
    assert all(torch.equal(one, p.grad) for one, p in zip(before, net.parameters(), strict=True))


def test_step_length_is_lr_times_trust_times_norm_of_the_tensor():
    weight = nn.Parameter(torch.randn(5, 7))
    optimizer = SoCoLARS([weight], lr=2.0, weight_decay=0.0)
    before = weight.detach().clone()
    weight.grad = torch.randn(5, 7) * 1000
    optimizer.step()
    wanted = 2.0 * 0.001 * before.norm().item()
    assert (weight - before).norm().item() == pytest.approx(wanted, rel=1e-4)


def test_decay_joins_the_gradient_before_the_norms_are_taken():
    """Two steps by hand: d = g + wd w; v = m v + trust |w| / (|d| + eps) d; w = w - lr v."""
    torch.manual_seed(0)
    start, gradients = torch.randn(3, 4).double(), torch.randn(2, 3, 4).double()
    lr, momentum, decay, trust, eps = 2.0, 0.7, 0.3, 0.01, 0.5
    wanted, velocity = start.clone(), torch.zeros(3, 4).double()
    for gradient in gradients:
        step = gradient + decay * wanted
        step = trust * wanted.norm() / (step.norm() + eps) * step
        velocity = momentum * velocity + step
        wanted = wanted - lr * velocity
    weight, bias = nn.Parameter(start.clone()), nn.Parameter(start[0].clone())
    settings = dict(momentum=momentum, weight_decay=decay, trust=trust, eps=eps)
    optimizer = SoCoLARS([weight, bias], lr=lr, **settings)
    plain, velocity = start[0].clone(), torch.zeros(4).double()
    for gradient in gradients:
        weight.grad, bias.grad = gradient, gradient[0]
        optimizer.step()
        velocity = momentum * velocity + gradient[0]  # one dimension: neither decay nor trust
        plain = plain - lr * velocity
    torch.testing.assert_close(weight.detach(), wanted)
    torch.testing.assert_close(bias.detach(), plain)


def test_a_tensor_without_gradient_and_decay_stays_finite():
    weight = nn.Parameter(torch.ones(2, 2))
    optimizer = SoCoLARS([weight], lr=1.0, weight_decay=0.0)
    weight.grad = torch.zeros(2, 2)
    optimizer.step()
    assert torch.equal(weight, torch.ones(2, 2))


def test_defaults_are_socos():
    (group,) = SoCoLARS([nn.Parameter(torch.ones(2))], lr=1.0).param_groups
    found = {name: group[name] for name in ('momentum', 'weight_decay', 'trust', 'eps')}
    assert found == dict(momentum=0.9, weight_decay=1e-5, trust=1e-3, eps=1e-8)


def test_zero_tensors_are_not_held_and_missing_gradients_are_passed_over():
    zero, unused = nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.ones(2, 2))
    optimizer = SoCoLARS([zero, unused], lr=0.5)
    zero.grad = torch.ones(2, 2)
    optimizer.step()
    assert torch.equal(zero, torch.full((2, 2), -0.5))
    assert torch.equal(unused, torch.ones(2, 2))
    assert not optimizer.state[unused]


def test_resumed_equals_uninterrupted():
    net = model()
    optimizer = SoCoLARS(net.parameters(), lr=1.0)
    train(net, optimizer, range(2))
    other = copy.deepcopy(net)
    resumed = SoCoLARS(other.parameters(), lr=1.0)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(net, optimizer, range(2, 4))
    train(other, resumed, range(2, 4))
    assert all(
        torch.equal(one, two) for one, two in zip(net.parameters(), other.parameters(), strict=True)
    )


@pytest.mark.parametrize('setting', [dict(momentum=1.0), dict(trust=0.0), dict(weight_decay=-1.0)])
def test_values_out_of_range_are_refused(setting):
    with pytest.raises(ValueError, match='SoCoLARS'):
        SoCoLARS(model().parameters(), lr=1.0, **setting)

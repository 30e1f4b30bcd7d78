"""Clipping per tensor and layers frozen at first, under accumulation and mixed precision."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from mmdssl.core.clock import TrainingClock
from mmdssl.engine.optimizers import optim_wrapper
from mmdssl.registry import OPTIM_WRAPPER_CONSTRUCTORS


class Host(nn.Module):
    """A backbone, and a head whose last layer is weight-normed as iBOT's is."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = TrainingClock()
        self.backbone = nn.Linear(4, 4)
        self.head = nn.Module()
        self.head.mlp = nn.Linear(4, 4)
        self.head.last_layer = weight_norm(nn.Linear(4, 3, bias=False))
        self.head.last_layer2 = nn.Linear(4, 2)

    def forward(self, x):
        hidden = self.head.mlp(self.backbone(x))
        return torch.cat((self.head.last_layer(hidden), self.head.last_layer2(hidden)), dim=-1)


class Grads(nn.Module):
    """Parameters that are their own gradients times a factor."""

    def __init__(self, *tensors) -> None:
        super().__init__()
        self.tensors = nn.ParameterList(tensors)

    def loss(self, factor=1.0):
        return factor * sum((p**2).sum() / 2 for p in self.tensors)


def build(model, *, kind='PerParamClipOptimWrapper', optimizer=None, **kwargs):
    optimizer = optimizer or dict(type='AdamW', lr=0.1, weight_decay=0.5)
    return OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='SelfSupOptimWrapperConstructor',
            optim_wrapper_cfg=dict(type=kind, optimizer=optimizer, **kwargs),
        )
    )(model)


def loop_clip(grads, max_norm):
    """The official code, tensor by tensor."""
    clipped = []
    for grad in grads:
        coefficient = max_norm / (grad.norm(2) + 1e-6)
        clipped.append(grad * coefficient if coefficient < 1 else grad)
    return clipped


def sgd_steps(model, **kwargs):
    return build(model, optimizer=dict(type='SGD', lr=1.0), **kwargs)


def test_each_tensor_is_clipped_by_itself():
    torch.manual_seed(0)
    tensors = [torch.randn(3, 4) * scale for scale in (0.01, 1, 100)] + [torch.zeros(2)]
    model = Grads(*[nn.Parameter(t.clone()) for t in tensors])
    sgd = sgd_steps(model, clip_grad=dict(type='per_param', max_norm=0.5))
    sgd.update_params(model.loss())
    for after, before, step in zip(model.tensors, tensors, loop_clip(tensors, 0.5), strict=True):
        torch.testing.assert_close(after, before - step)


def test_norm_before_clipping_and_share_clipped_are_logged():
    model = Grads(nn.Parameter(torch.tensor([3.0])), nn.Parameter(torch.tensor([0.1])))
    wrapper = sgd_steps(model, clip_grad=dict(type='per_param', max_norm=0.5))
    wrapper.update_params(model.loss())
    hub = wrapper.message_hub
    assert hub.get_scalar('train/grad_norm').current() == pytest.approx(9.01**0.5)
    assert hub.get_scalar('train/grad_clipped').current() == 0.5


class OnDevice(torch.Tensor):
    """Host memory that says it is a GPU's."""

    is_cuda = True

    def pin_memory(self):
        return self


class Stream:
    """Counts how many of the copies somebody waited for."""

    waited = 0

    def record_event(self):
        return self

    def synchronize(self):
        Stream.waited += 1


def test_numbers_of_a_gpu_are_logged_a_step_later(monkeypatch):
    def clip(parameters, max_norm):
        return tuple(value.as_subclass(OnDevice) for value in clip_each(parameters, max_norm))

    clip_each = optim_wrapper.clip_grad_norm_each_
    monkeypatch.setattr(optim_wrapper, 'clip_grad_norm_each_', clip)
    monkeypatch.setattr(torch.cuda, 'current_stream', Stream)
    monkeypatch.setattr(Stream, 'waited', 0)
    model = Grads(nn.Parameter(torch.tensor([3.0])), nn.Parameter(torch.tensor([0.1])))
    wrapper = sgd_steps(model, clip_grad=dict(type='per_param', max_norm=0.5))
    logged = wrapper.message_hub.log_scalars
    logged.clear()
    wrapper.update_params(model.loss())
    assert logged == {}
    assert Stream.waited == 0
    for norm, clipped in ((9.01**0.5, 0.5), (2.5, 0.5)):  # of the step before
        wrapper.update_params(model.loss())
        assert logged['train/grad_norm'].current() == pytest.approx(norm, rel=1e-5)
        assert logged['train/grad_clipped'].current() == clipped
    assert Stream.waited == 2


def test_mmengine_clipping_still_works():
    for clip, want in (
        (dict(type='value', clip_value=0.25), [0.25, 0.1]),
        (dict(max_norm=1.0, norm_type='inf'), [1.0, 0.1 / 3]),
    ):
        model = Grads(nn.Parameter(torch.tensor([3.0])), nn.Parameter(torch.tensor([0.1])))
        sgd_steps(model, clip_grad=clip).update_params(model.loss())
        moved = [b - p.item() for p, b in zip(model.tensors, (3.0, 0.1), strict=True)]
        assert moved == pytest.approx(want, rel=1e-4)


def test_clipping_applies_to_the_sum_of_accumulated_gradients():
    start = torch.tensor([3.0, 4.0])
    model = Grads(nn.Parameter(start.clone()))
    wrapper = sgd_steps(
        model, clip_grad=dict(type='per_param', max_norm=2.0), accumulative_counts=2
    )
    wrapper.update_params(model.loss(1.0))
    assert torch.equal(model.tensors[0], start)
    wrapper.update_params(model.loss(3.0))
    (step,) = loop_clip([start * (1.0 + 3.0) / 2], 2.0)
    torch.testing.assert_close(model.tensors[0].data, start - step)


@pytest.mark.parametrize('kind', ['PerParamClipOptimWrapper', 'AmpPerParamClipOptimWrapper'])
@pytest.mark.parametrize('accumulate', [1, 2])
def test_frozen_layer_gets_no_step_no_decay_and_no_moments(kind, accumulate):
    model = Host()
    settings = dict(dtype='bfloat16') if kind.startswith('Amp') else {}
    wrapper = build(
        model,
        kind=kind,
        clip_grad=dict(type='per_param', max_norm=3.0),
        freeze=dict(keys=('head.last_layer',), epochs=1),
        accumulative_counts=accumulate,
        **settings,
    )
    frozen = dict(model.head.last_layer.named_parameters())
    assert len(frozen) == 2
    before = copy.deepcopy(model.state_dict())
    for step in range(2 * accumulate):  # the first epoch
        model.clock.set(iteration=step, max_iterations=8, iterations_per_epoch=2 * accumulate)
        with wrapper.optim_context(model):
            loss = model(torch.randn(5, 4)).square().mean()
        wrapper.update_params(loss)
    for name, parameter in model.named_parameters():
        held = name.startswith('head.last_layer.')
        assert torch.equal(parameter, before[name]) == held, name
        assert (parameter in wrapper.optimizer.state) != held, name

    for step in range(2 * accumulate, 3 * accumulate):  # one step of the second epoch
        model.clock.set(iteration=step, max_iterations=8, iterations_per_epoch=2 * accumulate)
        wrapper.update_params(model(torch.randn(5, 4)).square().mean())
    for name, parameter in frozen.items():
        assert wrapper.optimizer.state[parameter]['step'] == 1
        assert not torch.equal(parameter, before[f'head.last_layer.{name}'])


def test_frozen_run_equals_the_official_loop():
    """Backward, clip each tensor, drop the last layer's gradients, AdamW: written out."""
    torch.manual_seed(0)
    ours, theirs = Host(), Host()
    theirs.load_state_dict(ours.state_dict())
    wrapper = build(
        ours,
        clip_grad=dict(type='per_param', max_norm=0.05),
        freeze=dict(keys=('head.last_layer',), epochs=1),
    )
    decayed = [p for p in theirs.parameters() if p.ndim > 1]
    plain = [p for p in theirs.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [dict(params=decayed), dict(params=plain, weight_decay=0.0)], lr=0.1, weight_decay=0.5
    )
    for step in range(6):
        x = torch.randn(5, 4)
        ours.clock.set(iteration=step, max_iterations=6, iterations_per_epoch=2)
        wrapper.update_params(ours(x).square().mean())
        optimizer.zero_grad()
        theirs(x).square().mean().backward()
        parameters = list(theirs.named_parameters())
        for (_, p), grad in zip(
            parameters, loop_clip([p.grad for _, p in parameters], 0.05), strict=True
        ):
            p.grad = grad
        for name, p in parameters:
            if step < 2 and 'head.last_layer.' in name:
                p.grad = None
        optimizer.step()
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, msg=name)


def test_bfloat16_on_the_cpu_computes_in_bfloat16_and_keeps_float32_weights():
    model = Host()
    wrapper = build(
        model,
        kind='AmpPerParamClipOptimWrapper',
        dtype='bfloat16',
        clip_grad=dict(type='per_param', max_norm=0.01),
    )
    before = copy.deepcopy(model.state_dict())
    with wrapper.optim_context(model):
        out = model(torch.randn(5, 4))
    assert out.dtype == torch.bfloat16
    wrapper.update_params(out.float().square().mean())
    assert model.backbone.weight.dtype == torch.float32
    assert not torch.equal(model.backbone.weight, before['backbone.weight'])


def test_checkpoints_move_between_precisions():
    model = Host()
    plain = build(model)
    plain.update_params(model(torch.randn(5, 4)).square().mean())
    half = build(model, kind='AmpPerParamClipOptimWrapper', dtype='bfloat16')
    half.load_state_dict(copy.deepcopy(plain.state_dict()))
    plain.load_state_dict(copy.deepcopy(half.state_dict()))
    assert half.optimizer.state[model.backbone.weight]['step'] == 1
    # a scaler that is switched on refuses the empty state of one that is off
    half.loss_scaler = torch.amp.GradScaler('cpu')
    half.load_state_dict(dict(half.state_dict(), loss_scaler={}))


@pytest.mark.skipif(torch.cuda.is_available(), reason='float16 is fine on a GPU')
def test_float16_without_a_gpu_is_refused():
    with pytest.raises(ValueError, match='bf16'):
        build(Host(), kind='AmpPerParamClipOptimWrapper')


def test_loss_scale_is_taken_out_before_clipping():
    model = Grads(nn.Parameter(torch.tensor([3.0, 4.0])))
    wrapper = build(
        model,
        kind='AmpPerParamClipOptimWrapper',
        dtype='bfloat16',
        optimizer=dict(type='SGD', lr=1.0),
        clip_grad=dict(type='per_param', max_norm=10.0),
    )
    wrapper.loss_scaler = torch.amp.GradScaler('cpu', init_scale=1024.0)
    wrapper.update_params(model.loss())
    assert model.tensors[0].tolist() == [0, 0]


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(freeze=dict(keys=('head.lastlayer',))), r"'head.lastlayer'; similar.*last_layer"),
        (dict(freeze=dict(keys=())), 'give module names'),
        (dict(freeze=dict(layers=('head',))), 'give module names'),
        (dict(clip_grad=dict(type='per_param', max_norm=0)), 'max_norm above 0'),
        (dict(clip_grad=dict(type='per_param', clip_value=1)), 'max_norm above 0'),
    ],
)
def test_wrong_settings_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(Host(), **kwargs)


def test_freeze_without_names_is_an_error_not_a_silent_step():
    from mmdssl.engine.optimizers import PerParamClipOptimWrapper

    model = Host()
    wrapper = PerParamClipOptimWrapper(
        optimizer=torch.optim.SGD(model.parameters(), lr=1), freeze=dict(keys='head', epochs=1)
    )
    with pytest.raises(RuntimeError, match='SelfSupOptimWrapperConstructor'):
        wrapper.update_params(model(torch.randn(5, 4)).mean())

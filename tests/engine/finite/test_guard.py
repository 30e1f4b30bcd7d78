"""A step that is not finite leaves no trace: every host, precision, place of the fault, and way."""

from contextlib import contextmanager

import pytest
import torch

from mmdssl.engine.finite.guard import StepGuard
from tests.engine.finite.hosts import (
    ADAMW,
    CLIP,
    FAULTS,
    HOSTS,
    LARS,
    PRECISIONS,
    SGD,
    different,
    not_finite,
    start,
    state_of,
)

#: Each host once, each fault at least once; the rest is marked slow.
SAMPLE = [
    *[('iBOT-D', fault, 'fp32') for fault in FAULTS],
    ('DenseCL-D', 'buffer', 'fp32'),
    ('MoCo v2', 'image', 'fp16'),
    ('SoCo-D', 'gradient inf', 'fp32'),
    ('D3SSL', 'image', 'bf16'),
    ('Leopart-D', 'gradient nan', 'fp32'),
    ('MaskAlign-D', 'loss inf', 'fp16'),
    ('BYOL', 'image', 'fp32'),
    ('SimMIM', 'gradient nan', 'bf16'),
]
EVERYTHING = [(h, f, p) for h in HOSTS for f in FAULTS for p in PRECISIONS]


def can_have(host: str, fault: str) -> bool:
    """SimMIM has no buffers, MaskAlign none but constants, and neither writes parameters."""
    return fault != 'buffer' or host not in ('SimMIM', 'MaskAlign-D')


def survives(host: str, fault: str, precision: str, *, guarded: bool = True, **kwargs) -> list[str]:
    """Differences between a run with a faulty step and one that never took it; [] is survival."""
    kwargs.setdefault('clip_grad', CLIP)
    spoilt = start(host, precision=precision, guarded=guarded, **kwargs)
    spared = start(host, precision=precision, guarded=guarded, **kwargs)
    for run in (spoilt, spared):
        for number in (0, 1, 2):
            run.step(number)
    before = state_of(spoilt)
    assert not_finite(before) == []
    spoilt.step(3, fault)
    if guarded:
        assert spoilt.guard.values[0] == 1
        assert different(state_of(spoilt), before) == []
    if precision == 'fp16':  # the scale is the scaler's own business
        spoilt.wrapper.loss_scaler.load_state_dict(spared.wrapper.loss_scaler.state_dict())
    for run in (spoilt, spared):
        run.step(4)
    return different(state_of(spoilt), state_of(spared))


@pytest.mark.parametrize(('host', 'fault', 'precision'), SAMPLE)
def test_a_faulty_step_is_as_if_it_had_never_been(host, fault, precision):
    assert survives(host, fault, precision) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ('host', 'fault', 'precision'), [case for case in EVERYTHING if can_have(*case[:2])]
)
def test_a_faulty_step_is_as_if_it_had_never_been_everywhere(host, fault, precision):
    assert survives(host, fault, precision) == []


@pytest.mark.parametrize('fault', FAULTS)
def test_without_the_guard_the_same_fault_does_harm(fault):
    assert survives('iBOT-D', fault, 'fp32', guarded=False)


@pytest.mark.parametrize('fault', ['image', 'loss nan', 'buffer'])
def test_a_loss_scaler_alone_does_not_protect_buffers(fault):
    assert survives('iBOT-D', fault, 'fp16', guarded=False)


@pytest.mark.parametrize('host', HOSTS)
def test_a_healthy_run_is_bit_equal_to_one_without_the_guard(host):
    with_guard, without = start(host, clip_grad=CLIP), start(host, clip_grad=CLIP, guarded=False)
    for number in range(3):
        with_guard.step(number)
        without.step(number)
        assert with_guard.guard.values[0] == 0
    assert different(state_of(with_guard), state_of(without)) == []


# ---- without reading anything ------------------------------------------------------------------


@contextmanager
def no_host_reads(monkeypatch):
    """Whoever asks a tensor for its value fails."""

    def refuse(self, *args, **kwargs):
        raise AssertionError('a tensor was read on the host')

    with monkeypatch.context() as patch:
        for name in ('item', 'tolist', '__bool__', '__float__', '__int__', '__index__', 'cpu'):
            patch.setattr(torch.Tensor, name, refuse)
        yield


UNREAD = {
    'iBOT-D': dict(ADAMW, fused=True),
    'DenseCL-D': dict(SGD, fused=True),
    'D3SSL': SGD,  # chosen, tensor by tensor
    'SoCo-D': LARS,
    'Leopart-D': dict(ADAMW, fused=True),
}


@pytest.mark.parametrize(
    ('host', 'fault'),
    [('iBOT-D', 'image'), ('DenseCL-D', 'buffer'), ('D3SSL', 'gradient inf'), ('SoCo-D', 'image')],
)
def test_the_device_alone_can_take_a_step_back(host, fault):
    optimizer = UNREAD[host]
    assert survives(host, fault, 'fp32', reads=False, optimizer=optimizer, clip_grad=None) == []


@pytest.mark.slow
@pytest.mark.parametrize('host', UNREAD)
@pytest.mark.parametrize('fault', FAULTS)
def test_the_device_alone_can_take_a_step_back_everywhere(host, fault):
    optimizer = UNREAD[host]
    assert survives(host, fault, 'fp32', reads=False, optimizer=optimizer, clip_grad=None) == []


@pytest.mark.parametrize('host', ['iBOT-D', 'D3SSL'])
def test_nothing_is_read_in_a_step_that_only_the_device_knows(host, monkeypatch):
    run = start(host, reads=False, optimizer=UNREAD[host])
    run.step(0)  # a first step may be read: states come into being
    assert run.guard.skipped is False
    original = StepGuard._guarded_step

    def watched(self, **kwargs):
        with no_host_reads(monkeypatch):
            original(self, **kwargs)

    monkeypatch.setattr(StepGuard, '_guarded_step', watched)
    run.guard.attach()
    run.step(1, 'gradient nan')
    assert run.guard.skipped is None
    assert run.guard.values[0] == 1
    with pytest.raises(AssertionError, match='read on the host'), no_host_reads(monkeypatch):
        bool(run.guard.values[0])


def test_a_first_step_that_is_not_finite_leaves_no_states(monkeypatch):
    """Fused SGD would keep momenta that nothing was ever written to."""
    run = start('DenseCL-D', reads=False, optimizer=dict(SGD, fused=True))
    run.step(0, 'gradient nan')
    assert run.guard.skipped is True
    assert not run.wrapper.optimizer.state


def test_adam_without_fused_is_read_where_its_counters_lie_on_the_host():
    run = start('iBOT-D', reads=False)
    run.step(0)
    run.guard._states_on_device = False  # what a GPU would find: 'step' stays in host memory
    run.step(1, 'gradient nan')
    assert run.guard.skipped is True


def test_layers_that_are_frozen_at_first_do_not_make_the_device_wait():
    freeze = dict(keys=('head.last_layer',), epochs=1)
    run = start('iBOT-D', reads=False, optimizer=dict(ADAMW, fused=True), freeze=freeze)
    for number, known in ((0, False), (1, None), (2, None), (10, False), (11, None)):
        run.step(number)  # the second epoch begins with step 10, and with it new states
        assert run.guard.skipped is known, number


# ---- accumulation, processes of the forward pass -----------------------------------------------


def test_a_fault_in_one_batch_takes_back_all_batches_of_the_step():
    spoilt, spared = (start('DenseCL-D', accumulative_counts=3) for _ in range(2))
    for run in (spoilt, spared):
        for number in (0, 1, 2):
            run.guard.begin()
            run.forward_backward(number)
    before = state_of(spoilt)
    for number, fault in ((3, None), (4, 'image'), (5, None)):
        spoilt.guard.begin()
        spoilt.forward_backward(number, fault)
    assert different(state_of(spoilt), before) == []
    for run in (spoilt, spared):
        for number in (6, 7, 8):
            run.guard.begin()
            run.forward_backward(number)
    assert different(state_of(spoilt), state_of(spared)) == []
    assert spared.guard.skipped is False


def test_an_unfinished_step_can_be_rolled_back():
    run = start('DenseCL-D', accumulative_counts=2)
    before = state_of(run)
    run.guard.begin()
    run.forward_backward(0)
    assert different(state_of(run), before)
    run.guard.roll_back()
    assert different(state_of(run), before) == []


def test_a_buffer_that_the_forward_pass_replaces_comes_back():
    run = start('iBOT-D')
    run.step(0)
    before = run.host.criterion.center
    values = before.clone()
    run.guard.begin()
    run.host.criterion.center = before * torch.nan
    run.forward_backward(1)
    assert run.host.criterion.center is before
    assert torch.equal(before, values)


def test_detached_the_wrapper_is_what_it_was():
    run = start('iBOT-D')
    run.guard.detach()
    assert not {'update_params', 'step', 'step_guard'} & run.wrapper.__dict__.keys()

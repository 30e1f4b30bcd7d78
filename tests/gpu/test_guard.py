"""A GPU takes a step back by itself: bit for bit, without a word to the host."""

import pytest
import torch

from mmdssl.engine.finite.guard import StepGuard
from mmdssl.engine.finite.late import LateValues
from mmdssl.engine.optimizers import (
    AmpPerParamClipOptimWrapper,
    PerParamClipOptimWrapper,
    SoCoLARS,
)
from tests.engine.finite.hosts import Run, different, inject, not_finite, state_of
from tests.gpu.hosts import HOSTS, on_gpu, total, waiting_is_an_error

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU'),
]

OPTIMIZERS = {
    'fused': lambda p: torch.optim.AdamW(p, lr=1e-3, fused=True),
    'fused SGD': lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9, fused=True),
    'chosen': lambda p: SoCoLARS(p, lr=1.0),
    'read': lambda p: torch.optim.AdamW(p, lr=1e-3),
}
FAULTS = ('loss nan', 'gradient inf', 'buffer')


def guarded(name: str, optimizer: str, **amp) -> tuple:
    build, make = HOSTS[name]
    model = build().train().cuda()
    parameters = [p for p in model.parameters() if p.requires_grad]
    kind = AmpPerParamClipOptimWrapper if amp else PerParamClipOptimWrapper
    wrapper = kind(
        optimizer=OPTIMIZERS[optimizer](parameters),
        clip_grad=dict(type='per_param', max_norm=3.0),
        **amp,
    )
    guard = StepGuard(model=model, wrapper=wrapper)
    guard.attach()
    batch = on_gpu(make())

    def step(fault: str | None = None) -> None:
        guard.begin()
        with wrapper.optim_context(model):
            loss = total(model.loss(batch))
        with inject(model, fault):
            if fault == 'loss nan':
                loss = loss * torch.nan
            wrapper.update_params(loss)
        if hasattr(model, 'update_teacher'):
            guard.update_teacher()

    return Run(model, None, wrapper, guard), step


@pytest.mark.parametrize('fault', FAULTS)
@pytest.mark.parametrize('optimizer', OPTIMIZERS)
@pytest.mark.parametrize('name', ['iBOT-D', 'DenseCL-D', 'Leopart-D'])
def test_a_faulty_step_leaves_no_trace(name, optimizer, fault):
    run, step = guarded(name, optimizer)
    for _ in range(2):
        step()
    before = state_of(run)
    step(fault)
    assert run.guard.skipped is (True if optimizer == 'read' else None)
    assert run.guard.values[0].item() == 1
    assert different(state_of(run), before) == []
    step()
    assert run.guard.values[0].item() == 0
    after = state_of(run)
    assert not_finite(after) == []
    assert different(after, before)


@pytest.mark.parametrize('optimizer', ['fused', 'fused SGD', 'chosen'])
@pytest.mark.parametrize('fault', FAULTS)
def test_a_loss_scaler_goes_along(optimizer, fault):
    run, step = guarded('iBOT-D', optimizer, dtype='float16', loss_scale=dict(init_scale=1024.0))
    for _ in range(2):
        step()
    before = state_of(run)
    step(fault)
    assert different(state_of(run), before) == []
    assert run.wrapper.loss_scaler.get_scale() == 512.0
    step()
    assert not_finite(state_of(run)) == []


@pytest.mark.parametrize(
    ('name', 'optimizer'),
    [
        ('SoCo-D', 'chosen'),
        ('MaskAlign-D', 'chosen'),
        ('iBOT-D', 'fused'),
        ('DenseCL-D', 'fused'),
        ('SoCo-D', 'fused'),
    ],
)
def test_a_guarded_step_waits_for_nothing(name, optimizer):
    _, step = guarded(name, optimizer)
    for _ in range(3):  # the first step of a parameter is decided on the host
        step()
    with waiting_is_an_error():
        step()


def test_values_come_two_steps_later_in_their_order():
    late, found = LateValues(delay=2), []
    for number in range(5):
        late.put(torch.full((2,), float(number), device='cuda'), number)
        found.append([(values, belongs) for values, belongs in late.due()])
    assert found == [[], [], *[[([n, n], n)] for n in (0.0, 1.0, 2.0)]]
    assert [belongs for _, belongs in late.due(all_of_them=True)] == [3, 4]

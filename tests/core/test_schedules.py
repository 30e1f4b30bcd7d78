"""Schedules against the official curves, and the scheduler's behaviour in a run."""

import numpy as np
import pytest
import torch
from torch import nn

from mmdssl.core.schedules import cosine, cosine_momentum, teacher_temperature, warmup_cosine
from mmdssl.registry import PARAM_SCHEDULERS


def adamw(lr=1.0, weight_decay=0.04):
    layer = nn.Linear(2, 2)
    groups = [dict(params=[layer.weight]), dict(params=[layer.bias], weight_decay=0.0)]
    return torch.optim.AdamW(groups, lr=lr, weight_decay=weight_decay)


def build(optimizer, **kwargs):
    """As the runner builds it: in epochs if it is told their length."""
    if 'epoch_length' in kwargs:
        kwargs['convert_to_iter_based'] = True
    return PARAM_SCHEDULERS.build(dict(type='WarmupCosine', optimizer=optimizer, **kwargs))


def run(optimizer, name, steps, **kwargs):
    """Values of the first group that the optimizer uses in each of ``steps`` steps."""
    scheduler = build(optimizer, param_name=name, **kwargs)
    values = []
    for _ in range(steps):
        values.append(optimizer.param_groups[0][name])
        optimizer.step()
        scheduler.step()
    return np.array(values)


def assert_equal(got, want):
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-15)


@pytest.fixture(scope='module')
def official(shared):
    with np.load(shared('golden/schedules.npz')) as file:
        return {key: file[key] for key in file.files}


@pytest.mark.golden
def test_lr_through_the_optimizer_equals_official(official):
    want, length = official['ibot_lr'], int(official['iters_per_epoch'])
    # Peak and warm-up are in the curve itself: it rises, stands still for one step, falls.
    warmup = int(np.flatnonzero(np.diff(want) <= 0)[0]) + 1
    got = run(
        adamw(lr=want.max()),
        'lr',
        len(want),
        eta_min=1e-6,
        warmup_epochs=warmup / length,
        end=int(official['epochs']),
        epoch_length=length,
    )
    assert_equal(got, want)
    assert got[warmup - 1] == got[warmup] == got.max()
    assert got[-1] > 1e-6


@pytest.mark.golden
def test_soco_lr_through_the_optimizer_equals_official(shared):
    with np.load(shared('golden/soco_loss.npz')) as file:
        want = file['lr/per_step']
        peak, epochs, length, warmup = file['lr/args_peak_epochs_iters_warmupepochs']
    got = run(
        adamw(lr=float(peak)),
        'lr',
        len(want),
        eta_min=1e-6,
        warmup_epochs=float(warmup),
        warmup_ratio=0.01,
        peak_twice=False,
        end=int(epochs),
        epoch_length=int(length),
    )
    assert_equal(got, want)


@pytest.mark.golden
@pytest.mark.parametrize('name', ['ibot_wd', 'leopart_wd'])
def test_weight_decay_through_the_optimizer_equals_official(official, name):
    want = official[name]
    optimizer = adamw(weight_decay=want[0])
    end = 0.4 if name == 'ibot_wd' else 0.5
    got = run(optimizer, 'weight_decay', len(want), eta_min=end, end=len(want), by_epoch=False)
    assert_equal(got, want)
    assert optimizer.param_groups[1]['weight_decay'] == 0


@pytest.mark.golden
@pytest.mark.parametrize('name', ['ibot_momentum', 'leopart_momentum'])
def test_momentum_equals_official(official, name):
    want = official[name]
    assert_equal([cosine_momentum(i, len(want), start=want[0]) for i in range(len(want))], want)


@pytest.mark.golden
def test_teacher_temperature_equals_official(official):
    names = [name for name in official if name.startswith('ibot_teacher_temp_')]
    assert any('_start' in name for name in names)
    for name in names:
        want, (_, _, after) = official[name], name.partition('_start')
        delay = int(after or 0)  # epochs without the patch loss
        warmup = int(np.flatnonzero(want == want[-1])[0]) + 1 - delay
        got = [
            teacher_temperature(
                epoch, start=want[0], end=want[-1], warmup_epochs=warmup, start_epoch=delay
            )
            for epoch in range(len(want))
        ]
        assert_equal(got, want)


@pytest.mark.golden
def test_maskalign_lr_equals_official(official):
    points, want = official['maskalign_epoch_points'], official['maskalign_lr']
    lr, floor, warmup, epochs = official['maskalign_args_lr_minlr_warmup_epochs']
    length = round(1 / (points[1] - points[0]))
    got = run(
        adamw(lr=lr),
        'lr',
        len(want),
        eta_min=floor,
        warmup_epochs=warmup,
        end=int(epochs),
        epoch_length=length,
        peak_twice=False,
    )
    assert_equal(got, want)


def test_groups_scale_their_own_peak_and_zero_groups_stay_zero():
    layer = nn.Linear(2, 2)
    groups = [
        dict(params=[layer.weight], lr=0.1),
        dict(params=[layer.bias], lr=0.0),
    ]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    scheduler = build(optimizer, end=10, by_epoch=False, warmup_iters=3, eta_min=0.01)
    seen = []
    for _ in range(10):
        seen.append([group['lr'] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    first, second = zip(*seen, strict=True)
    assert_equal(first, [warmup_cosine(i, 10, peak=0.1, end=0.01, warmup=3) for i in range(10)])
    assert set(second) == {0.0}


@pytest.mark.parametrize('beyond', [0, 1, 5, 10])
def test_beyond_the_end_the_cosine_is_its_end(beyond):
    assert cosine(10 + beyond, 10, start=0.3, end=0.7) == pytest.approx(0.7)
    assert cosine_momentum(10 + beyond, 10, start=0.99) == pytest.approx(1.0)


def test_value_stays_after_the_end():
    optimizer = adamw()
    values = run(optimizer, 'lr', 8, end=4, by_epoch=False)
    assert set(values[4:]) == {values[3]}
    assert values[3] > 0


@pytest.mark.parametrize('new_length', [4, 2, 8])
def test_resumed_schedule_continues_at_the_same_epoch(new_length):
    settings = dict(warmup_epochs=1, end=6, eta_min=0.1)
    first = adamw()
    scheduler = build(first, epoch_length=4, **settings)
    for _ in range(12):  # three epochs
        first.step()
        scheduler.step()

    second = adamw()
    resumed = build(second, epoch_length=new_length, **settings)
    resumed.load_state_dict(scheduler.state_dict())
    straight = run(adamw(), 'lr', 6 * new_length, epoch_length=new_length, **settings)
    for want in straight[3 * new_length :]:
        assert second.param_groups[0]['lr'] == want
        second.step()
        resumed.step()


def test_a_longer_run_resumes_on_the_longer_curve():
    first = adamw()
    scheduler = build(first, epoch_length=2, end=4)
    first.step()
    scheduler.step()
    second = adamw()
    longer = build(second, epoch_length=2, end=40)
    longer.load_state_dict(scheduler.state_dict())
    assert second.param_groups[0]['lr'] == warmup_cosine(1, 80, peak=1.0, end=0.0)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(warmup_epochs=10, end=10, epoch_length=3), 'warms up for 30 of 30'),
        (dict(end=10), 'add convert_to_iter_based=True'),
        (dict(warmup_epochs=2, end=10, by_epoch=False), 'warmup_iters'),
        (dict(by_epoch=False), 'needs its end'),
        (
            dict(end=10, by_epoch=False, warmup_iters=2, warmup_start=0.1, warmup_ratio=0.01),
            'give one of them',
        ),
    ],
)
def test_impossible_schedules_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(adamw(), **kwargs)

"""Under gradient accumulation a run is saved and stopped where a step is whole."""

import os
import signal

import pytest
import torch
from mmengine.hooks import Hook

from mmdssl.engine.hooks.checkpoint import train_and_keep
from mmdssl.engine.interruption import TrainingStopped
from tests.engine.toy import Recorder, assert_same_state, toy_runner

# Three iterations an epoch, two batches a step: epochs 1 and 3 end within one.
TWO = {'optim_wrapper.accumulative_counts': 2}


def stop(runner):
    os.kill(os.getpid(), signal.SIGTERM)


def meta(path):
    return torch.load(path, weights_only=True)['meta']


@pytest.fixture(scope='module')
def straight(tmp_path_factory):
    """The run that nobody interrupts, and its folder."""
    folder = tmp_path_factory.mktemp('straight')
    runner = toy_runner(folder, **TWO)
    runner.train()
    return runner, folder


def test_an_epoch_that_ends_within_a_step_is_saved_after_it(straight):
    _, folder = straight
    positions = {n: meta(folder / f'epoch_{n}.pth') for n in (1, 2, 3, 4)}
    assert {n: (m['epoch'], m['iter']) for n, m in positions.items()} == {
        1: (1, 4),
        2: (2, 6),
        3: (3, 10),
        4: (4, 12),
    }


@pytest.mark.parametrize('epoch', [1, 2, 3])
def test_a_run_resumed_from_it_is_the_uninterrupted_one(straight, tmp_path, epoch):
    runner, folder = straight
    resumed = toy_runner(tmp_path, resume=folder / f'epoch_{epoch}.pth', **TWO)
    resumed.train()
    assert_same_state(resumed, runner)


@pytest.mark.parametrize(('at', 'saved'), [(2, 4), (3, 4), (4, 6), (6, 8), (8, 10)])
def test_a_stop_waits_for_the_end_of_the_step(straight, tmp_path, at, saved):
    runner, _ = straight
    interval = {'default_hooks.checkpoint.interval': 10}
    with pytest.raises(TrainingStopped):
        train_and_keep(
            toy_runner(tmp_path, hooks=(Recorder(at=at, action=stop),), **TWO, **interval)
        )
    assert meta(tmp_path / 'interrupted.pth')['iter'] == saved
    resumed = toy_runner(tmp_path, resume=tmp_path / 'interrupted.pth', **TWO, **interval)
    resumed.train()
    assert_same_state(resumed, runner)


def test_iteration_based_runs_wait_too(tmp_path):
    runner = toy_runner(tmp_path, iters=9, **TWO)
    runner.train()
    saved = {path.name: meta(path)['iter'] for path in tmp_path.glob('iter_*.pth')}
    # Due every iteration: one file a whole step; the last step takes what is left.
    assert saved == {f'iter_{n}.pth': n for n in (2, 4, 6, 8, 9)}


class _SignalAfterEpoch(Hook):
    """During the evaluation after epoch 1, whose last step is not whole."""

    priority = 'LOWEST'

    def after_train_epoch(self, runner):
        if runner.epoch == 0:
            stop(runner)


def test_a_signal_between_epochs_waits_where_the_epoch_ended_within_a_step(tmp_path):
    interval = {'default_hooks.checkpoint.interval': 10}
    runner = toy_runner(tmp_path, hooks=(_SignalAfterEpoch(),), **TWO, **interval)
    with pytest.raises(TrainingStopped):
        train_and_keep(runner)
    assert meta(tmp_path / 'interrupted.pth')['iter'] == 4


def test_a_failure_keeps_the_last_whole_step(tmp_path):
    kept = {}

    def remember(runner):
        kept.update({name: value.clone() for name, value in runner.model.state_dict().items()})

    def fail(runner):
        raise RuntimeError('out of memory')

    hooks = (Recorder(at=4, action=remember), Recorder(at=5, action=fail))
    with pytest.raises(RuntimeError, match='out of memory'):
        train_and_keep(toy_runner(tmp_path, hooks=hooks, **TWO))
    checkpoint = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)
    assert checkpoint['meta']['iter'] == 4
    assert not (tmp_path / 'interrupted.pth').exists()
    for name, value in checkpoint['state_dict'].items():
        assert torch.equal(value, kept[name]), name

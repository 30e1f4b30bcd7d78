"""A resumed run is the uninterrupted run: weights, moments, draws, images, logs."""

import os
import signal
import time
from collections import Counter

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook

from mmdssl.core.clock import EPOCH_LENGTH_KEY
from mmdssl.core.newest import RUN_PARTS
from mmdssl.core.schedules import warmup_cosine
from mmdssl.engine.hooks.checkpoint import train_and_keep
from mmdssl.engine.interruption import TrainingStopped
from mmdssl.engine.resuming import fit_to_run
from tests.engine.toy import Recorder, assert_same_state, end_workers, toy_runner


def stop(signum=signal.SIGTERM):
    return lambda runner: os.kill(os.getpid(), signum)


def history(runner, name='train/loss'):
    return runner.message_hub.get_scalar(name).data[0].tolist()


LOADERS = [
    dict(num_workers=0),
    dict(num_workers=1),
    dict(num_workers=2),
    dict(num_workers=2, persistent_workers=True),
    dict(num_workers=2, persistent_workers=True, prefetch_factor=5),
]


def loading(options):
    return {f'train_dataloader.{key}': value for key, value in options.items()}


@pytest.mark.parametrize('loader', LOADERS)
def test_resume_equals_uninterrupted(tmp_path, loader):
    settings = loading(loader)
    straight = toy_runner(tmp_path / 'a', **settings)
    straight.train()
    end_workers(straight)
    resumed = toy_runner(tmp_path / 'b', resume=tmp_path / 'a/epoch_2.pth', **settings)
    np.random.seed(99)  # whatever has happened before, the place in the run counts
    torch.manual_seed(99)
    resumed.train()
    end_workers(resumed)
    assert_same_state(resumed, straight)
    assert history(resumed) == history(straight)
    assert history(resumed, 'train/lr') == history(straight, 'train/lr')


def test_the_comparison_can_fail(tmp_path):
    """Without the random states the resumed run is another one."""
    straight = toy_runner(tmp_path / 'a')
    straight.train()
    end_workers(straight)
    resumed = toy_runner(
        tmp_path / 'b',
        resume=tmp_path / 'a/epoch_2.pth',
        custom_hooks=[dict(type='TeacherUpdateHook')],
    )
    resumed.train()
    with pytest.raises(AssertionError):
        assert_same_state(resumed, straight)


@pytest.mark.parametrize('loader', LOADERS)
def test_resume_within_an_epoch_equals_uninterrupted(tmp_path, loader):
    """Also where the rest is loaded by another number of workers than the beginning."""
    straight_seen, first, second = Recorder(), Recorder(at=6, action=stop()), Recorder()
    straight = toy_runner(tmp_path / 'a', hooks=(straight_seen,), epochs=3, **data(20))
    straight.train()
    stopped = toy_runner(tmp_path / 'b', hooks=(first,), epochs=3, **data(20), **loading(loader))
    with pytest.raises(TrainingStopped):
        stopped.train()
    end_workers(stopped)
    resumed = toy_runner(
        tmp_path / 'b',
        resume=tmp_path / 'b/interrupted.pth',
        hooks=(second,),
        epochs=3,
        **data(20),
        **loading(LOADERS[-LOADERS.index(loader)]),
    )
    resumed.train()
    end_workers(resumed)
    assert len(first.seen) == 7  # stopped after the iteration in which the signal came
    assert first.seen + second.seen == straight_seen.seen
    assert resumed.iter == straight.iter == 15
    assert_same_state(resumed, straight)
    assert history(resumed) == history(straight)


def data(images):
    return {'train_dataloader.dataset.length': images}


def test_resume_within_an_epoch_shows_every_image_once_with_workers(tmp_path):
    settings = dict(epochs=2, **data(20), **{'train_dataloader.num_workers': 2})
    first, second = Recorder(at=1, action=stop()), Recorder()
    with pytest.raises(TrainingStopped):
        toy_runner(tmp_path, hooks=(first,), **settings).train()
    runner = toy_runner(tmp_path, resume=tmp_path / 'interrupted.pth', hooks=(second,), **settings)
    runner.train()
    shown = Counter(index for batch in first.seen + second.seen for index in batch)
    assert shown == dict.fromkeys(range(20), 2)
    assert runner.iter == 10


@pytest.mark.parametrize('loader', LOADERS)
@pytest.mark.parametrize('sampler', ['InfiniteSampler', 'DefaultSampler'])
def test_iteration_based_resume_equals_uninterrupted(tmp_path, loader, sampler, monkeypatch):
    monkeypatch.setattr(time, 'sleep', lambda seconds: None)  # mmengine's between two passes
    settings = {'train_dataloader.sampler.type': sampler}
    straight_seen, seen = Recorder(), Recorder()
    straight = toy_runner(tmp_path / 'a', iters=8, hooks=(straight_seen,), **settings)
    straight.train()
    end_workers(straight)
    resumed = toy_runner(
        tmp_path / 'b',
        iters=8,
        resume=tmp_path / 'a/iter_5.pth',
        hooks=(seen,),
        **settings,
        **loading(loader),
    )
    resumed.train()
    end_workers(resumed)
    assert seen.seen == straight_seen.seen[5:]
    assert_same_state(resumed, straight)


class Evaluation(Hook):
    """Draws numbers between epochs, as an evaluation may."""

    def after_train_epoch(self, runner):
        torch.rand(3)
        np.random.rand(3)


def test_draws_between_epochs_do_not_change_the_training(tmp_path):
    plain = toy_runner(tmp_path / 'a')
    plain.train()
    evaluated = toy_runner(tmp_path / 'b', hooks=(Evaluation(),))
    evaluated.train()
    assert_same_state(evaluated, plain)


def test_unset_seed_is_continued_in_the_order_of_images(tmp_path):
    straight_seen, seen = Recorder(), Recorder()
    unset = {'randomness.seed': None}
    toy_runner(tmp_path / 'a', hooks=(straight_seen,), **unset).train()
    toy_runner(tmp_path / 'b', resume=tmp_path / 'a/epoch_2.pth', hooks=(seen,), **unset).train()
    assert seen.seen == straight_seen.seen[6:]


def test_another_length_of_the_epoch_resumes_at_the_same_epoch(tmp_path):
    """As with another number of processes."""
    toy_runner(tmp_path / 'a').train()
    seen = Recorder()
    halved = {'train_dataloader.batch_size': 2}
    runner = toy_runner(tmp_path / 'b', resume=tmp_path / 'a/epoch_2.pth', hooks=(seen,), **halved)
    runner.train()
    assert runner.iter == 24  # 4 epochs of 6
    assert len(seen.seen) == 12
    # The schedule, too, goes on after half of the run.
    assert history(runner, 'train/lr')[-12] == warmup_cosine(12, 24, peak=0.05, end=1e-3, warmup=6)


def test_the_place_within_an_epoch_of_another_length_is_kept(tmp_path):
    runner = toy_runner(tmp_path, **{'train_dataloader.batch_size': 2})  # epochs of 6
    run = {part: {} for part in RUN_PARTS} | dict(state_dict=runner.model.state_dict())
    checkpoint = run | dict(meta={'iter': 7, EPOCH_LENGTH_KEY: 3})  # a third of the third
    fit_to_run(checkpoint, runner)
    assert checkpoint['meta']['iter'] == 14


def test_signal_ends_the_run_with_the_shells_exit_code(tmp_path):
    for signum, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        before = signal.getsignal(signum)
        hook = Recorder(at=4, action=stop(signum))
        runner = toy_runner(tmp_path / str(code), hooks=(hook,))
        with pytest.raises(TrainingStopped) as stopped:
            train_and_keep(runner)
        assert stopped.value.code == code
        assert signal.getsignal(signum) == before
        checkpoint = torch.load(tmp_path / str(code) / 'interrupted.pth', weights_only=True)
        assert (checkpoint['meta']['epoch'], checkpoint['meta']['iter']) == (1, 5)
        assert checkpoint['meta']['interrupted'] == dict(
            reason=signal.Signals(signum).name, exact=True
        )


def test_signal_at_the_end_of_an_epoch_needs_no_second_file(tmp_path):
    runner = toy_runner(tmp_path, hooks=(Recorder(at=5, action=stop()),))
    with pytest.raises(TrainingStopped):
        train_and_keep(runner)
    assert not (tmp_path / 'interrupted.pth').exists()
    assert (tmp_path / 'last_checkpoint').read_text().endswith('epoch_2.pth')


def test_second_signal_stops_at_once_and_still_saves(tmp_path):
    def twice(runner):
        stop(signal.SIGINT)(runner)
        stop(signal.SIGINT)(runner)

    runner = toy_runner(tmp_path, hooks=(Recorder(at=4, action=twice),))
    with pytest.raises(KeyboardInterrupt):
        train_and_keep(runner)
    meta = torch.load(tmp_path / 'interrupted.pth', weights_only=True)['meta']
    assert (meta['iter'], meta['interrupted']['exact']) == (4, False)


class LongEvaluation(Hook):
    """A signal arrives while it runs, after the checkpoint of the epoch."""

    priority = 'LOWEST'

    def after_train_epoch(self, runner):
        stop()(runner)
        raise AssertionError('the evaluation went on')


def test_signal_during_an_evaluation_between_epochs_stops_it(tmp_path):
    runner = toy_runner(
        tmp_path, hooks=(LongEvaluation(),), **{'default_hooks.checkpoint.interval': 10}
    )
    with pytest.raises(TrainingStopped):
        train_and_keep(runner)
    meta = torch.load(tmp_path / 'interrupted.pth', weights_only=True)['meta']
    assert (meta['epoch'], meta['iter'], meta['interrupted']['exact']) == (1, 3, True)


def fail(runner):
    raise RuntimeError('out of memory')


def test_failure_leaves_the_last_complete_iteration(tmp_path):
    runner = toy_runner(tmp_path, hooks=(Recorder(at=4, action=fail),))
    with pytest.raises(RuntimeError, match='out of memory'):
        train_and_keep(runner)
    meta = torch.load(tmp_path / 'interrupted.pth', weights_only=True)['meta']
    assert (meta['epoch'], meta['iter']) == (1, 4)
    assert meta['interrupted'] == dict(reason='RuntimeError', exact=False)
    resumed = toy_runner(tmp_path / 'b', resume=tmp_path / 'interrupted.pth')
    resumed.train()
    end_workers(resumed)
    assert resumed.iter == 12


def test_a_newer_checkpoint_takes_the_place_of_the_interrupted_one(tmp_path):
    limited = {'default_hooks.checkpoint.max_keep_ckpts': 2}
    runner = toy_runner(tmp_path, hooks=(Recorder(at=4, action=fail),), **limited)
    with pytest.raises(RuntimeError, match='out of memory'):
        train_and_keep(runner)
    assert (tmp_path / 'interrupted.pth').exists()
    resumed = toy_runner(tmp_path, resume=tmp_path / 'interrupted.pth', **limited)
    train_and_keep(resumed)
    end_workers(resumed)
    assert not (tmp_path / 'interrupted.pth').exists()
    assert sorted(path.name for path in tmp_path.glob('*.pth')) == ['epoch_3.pth', 'epoch_4.pth']


def test_failure_before_the_first_iteration_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match='out of memory'):
        train_and_keep(toy_runner(tmp_path, hooks=(Recorder(at=0, action=fail),)))
    assert list(tmp_path.glob('*.pth')) == []


def test_weights_that_are_not_finite_do_not_replace_good_ones(tmp_path):
    def diverge(runner):
        with torch.no_grad():
            runner.model.backbone[0].weight[0, 0] = float('nan')  # one of many
        fail(runner)

    with pytest.raises(RuntimeError, match='out of memory'):
        train_and_keep(toy_runner(tmp_path, hooks=(Recorder(at=4, action=diverge),)))
    assert not (tmp_path / 'interrupted.pth').exists()
    assert (tmp_path / 'last_checkpoint').read_text().endswith('epoch_1.pth')

"""Draws of a process: of its place in the run, whatever was drawn or taken in between."""

import itertools
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook

from mmdssl.engine.hooks.random_state import RandomStateHook
from mmdssl.engine.resuming import EXTRA_BATCHES_KEY
from tests.engine.toy import Recorder, assert_same_state, end_workers, toy_runner

LOADERS = [{}, {'num_workers': 2, 'persistent_workers': True, 'prefetch_factor': 5}]


class TakesBatches(Hook):
    """Takes two batches of the training stream, as the measurement of batch statistics does."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 2:
            taken = [next(runner.train_loop.dataloader_iterator) for _ in range(2)]
            runner.message_hub.update_info(EXTRA_BATCHES_KEY, len(taken))


@pytest.mark.parametrize('loader', LOADERS)
def test_batches_that_a_hook_took_are_not_shown_again(tmp_path, loader):
    straight_seen, seen = Recorder(), Recorder()
    settings = dict(iters=8, **{f'train_dataloader.{k}': v for k, v in loader.items()})
    straight = toy_runner(tmp_path / 'a', hooks=(straight_seen, TakesBatches()), **settings)
    straight.train()
    end_workers(straight)
    path = tmp_path / 'a/iter_5.pth'
    resumed = toy_runner(tmp_path / 'b', resume=path, hooks=(seen,), **settings)
    resumed.train()
    end_workers(resumed)
    assert seen.seen == straight_seen.seen[5:]
    assert_same_state(resumed, straight)


class ValidationThatDraws(Hook):
    """Draws behind the checkpoint of the same iteration, where a resumed run does not."""

    priority = 'LOWEST'

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        torch.rand(3), np.random.rand(3), random.random()


def test_what_is_drawn_between_checkpoint_and_next_iteration_changes_nothing(tmp_path):
    straight = toy_runner(tmp_path / 'a', iters=8, hooks=(ValidationThatDraws(),))
    straight.train()
    end_workers(straight)
    resumed = toy_runner(tmp_path / 'b', iters=8, resume=tmp_path / 'a/iter_5.pth')
    resumed.train()
    end_workers(resumed)
    assert_same_state(resumed, straight)


def test_processes_and_their_number_draw_differently(tmp_path):
    runner = toy_runner(tmp_path, **{'randomness.diff_rank_seed': True})
    hook = RandomStateHook()
    draws = set()
    for rank, world_size, iteration in [(0, 1, 0), (0, 1, 1), (0, 2, 0), (1, 2, 0)]:
        place = SimpleNamespace(
            rank=rank,
            world_size=world_size,
            iter=iteration,
            _randomness_cfg=runner._randomness_cfg,
        )
        hook.before_train_iter(place, 0)
        draws |= {torch.rand(()).item(), np.random.rand(), random.random()}
    assert len(draws) == 12


@pytest.mark.parametrize(('iters', 'processes'), [(None, 3), (9, 5)])
def test_processes_share_out_the_samples_of_one(tmp_path, iters, processes):
    """Of 12 images: each process is told its number, and how many there are, when it begins."""

    def keys(rank, world_size):
        runner = toy_runner(tmp_path / f'{rank}_{world_size}', iters=iters)
        runner._rank, runner._world_size = rank, world_size
        loader = runner.train_dataloader
        loader.sampler.rank, loader.sampler.world_size = rank, world_size
        if iters is None:
            loader.sampler.num_samples = 12 // world_size
        RandomStateHook().before_train(runner)
        passes = itertools.chain.from_iterable(loader.batch_sampler for _ in range(5))
        given = itertools.chain.from_iterable(passes)
        return [(int(key), key.entropy) for key in itertools.islice(given, 60 // world_size)]

    want = keys(0, 1)
    assert len(set(want)) == 60  # five passes; an endless order ends one between two processes
    parts = [keys(rank, processes) for rank in range(processes)]
    assert sorted(itertools.chain(*parts)) == sorted(want)

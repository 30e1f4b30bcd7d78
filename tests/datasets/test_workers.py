"""Random numbers and threads of loader workers."""

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import FUNCTIONS as ROOT_FUNCTIONS
from torch.utils.data import DataLoader, Dataset

from mmdssl.datasets import seed_worker
from mmdssl.datasets.workers import WorkerStart
from mmdssl.registry import FUNCTIONS
from tests.conftest import ROOT


class Draws(Dataset):
    """Each sample is a draw from every generator, and the thread counts."""

    def __init__(self, length=8):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return (
            random.random(),
            np.random.rand(),
            torch.rand(()).item(),
            float(cv2.getNumThreads()),
            float(torch.get_num_threads()),
        )


def draw(seed, epochs, rank=0, **options):
    """Draws of two workers over epochs, (epochs, samples, values)."""
    torch.manual_seed(seed)
    loader = DataLoader(
        Draws(),
        batch_size=None,
        num_workers=2,
        worker_init_fn=lambda worker: seed_worker(worker, rank=rank),
        multiprocessing_context='fork',
        **options,
    )
    return np.array([list(loader) for _ in range(epochs)])


@pytest.mark.parametrize('persistent', [False, True])
def test_epochs_and_workers_differ_and_a_seed_repeats(persistent):
    one = draw(0, 2, persistent_workers=persistent)
    assert len(np.unique(one[..., :3])) == 2 * 8 * 3  # no value occurs twice
    np.testing.assert_array_equal(one, draw(0, 2, persistent_workers=persistent))
    assert not np.isin(one[..., :3], draw(1, 2)[..., :3]).any()


def test_ranks_differ():
    assert not np.isin(draw(0, 1, rank=0)[..., :3], draw(0, 1, rank=1)[..., :3]).any()


def test_workers_run_on_one_thread():
    threads = draw(0, 1)[0, :, 3:]
    assert (threads == 1).all()


def test_initial_seed_tells_workers_apart():
    """Named streams of transforms derive their generators from it."""
    before = torch.random.get_rng_state(), np.random.get_state(), random.getstate()
    threads = cv2.getNumThreads(), torch.get_num_threads()
    try:
        seeds = set()
        for base in (5, 6):
            for rank in (0, 1):
                torch.manual_seed(base)
                seed_worker(0, rank=rank)
                seeds.add(torch.initial_seed())
        assert len(seeds) == 4
    finally:
        torch.random.set_rng_state(before[0])
        np.random.set_state(before[1])
        random.setstate(before[2])
        cv2.setNumThreads(threads[0])
        torch.set_num_threads(threads[1])


def test_config_name_resolves_in_mmengines_registry_and_ours():
    assert ROOT_FUNCTIONS.get('seed_worker') is seed_worker
    assert ROOT_FUNCTIONS.get('mmdssl.seed_worker') is seed_worker
    assert FUNCTIONS.get('seed_worker') is seed_worker


RUN = """
import time
from torch.utils.data import DataLoader
from mmdssl.datasets.workers import WorkerStart
from tests.datasets.test_workers import Draws

if __name__ == '__main__':
    # More results than a pipe holds: a worker that nobody takes them from waits in writing.
    loader = DataLoader(
        Draws(10**6),
        num_workers=2,
        prefetch_factor=500,
        worker_init_fn=WorkerStart(None),
        multiprocessing_context='fork',
    )
    iterator = iter(loader)
    next(iterator)
    print(*(worker.pid for worker in iterator._workers), flush=True)
    time.sleep(600)
"""


def test_workers_of_a_killed_run_end(tmp_path):
    script = tmp_path / 'run.py'
    script.write_text(RUN)
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        workers = [Path(f'/proc/{pid}') for pid in process.stdout.readline().split()]
        assert len(workers) == 2
        assert all(worker.exists() for worker in workers)
        time.sleep(2)  # fill the pipe
        process.kill()
    end = time.monotonic() + 20
    while any(map(runs, workers)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(map(runs, workers))


def runs(process: Path) -> bool:
    """A dead process that nobody waits for stays listed as a zombie."""
    try:
        return (process / 'stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def test_the_loaders_own_initialisation_is_kept_and_not_wrapped_twice():
    called = []
    start = WorkerStart(WorkerStart(called.append))
    assert start.inner == called.append
    threads = threading.active_count()
    start(3)
    start(4)
    assert called == [3, 4]
    assert threading.active_count() <= threads + 1

"""Set up a data loader's worker process: its own random numbers, one thread, an end with the run.

mmengine's default gives every worker the same seed again at each start, so without persistent
workers every epoch repeats the augmentations of the first. (In training samples bring their own
seeds, see `mmdssl.datasets.sample_draws`; this matters for loaders outside of it.) OpenCV and
torch start as many threads in each worker as the machine has cores, which makes loading slower,
not faster. And a worker whose run was killed may wait for ever for somebody to take its images.
"""

import os
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.registry import FUNCTIONS as ROOT_FUNCTIONS

from mmdssl.registry import FUNCTIONS

__all__ = ['WorkerStart', 'end_with_parent', 'seed_worker']


# mmengine's Runner looks an unprefixed `worker_init_fn` up in its own registry only.
@ROOT_FUNCTIONS.register_module()
@FUNCTIONS.register_module()
def seed_worker(worker_id: int, *, rank: int | None = None) -> None:
    """Worker initialisation: ``worker_init_fn=dict(type='seed_worker')``.

    torch gives each worker the seed ``base + worker_id`` with a ``base`` drawn anew from the main
    process's generator every time the loader starts its workers: it follows the run's seed and
    differs from epoch to epoch. Ranks that share a run's seed share ``base`` too, so the rank is
    mixed in. ``random``, ``numpy.random`` and torch are seeded with three independent numbers;
    ``torch.initial_seed()`` afterwards tells workers, epochs and ranks apart.

    Args:
        worker_id: Number of the worker, given by the data loader.
        rank: Rank of the process the worker belongs to. None: ask torch.distributed.
    """
    if rank is None:
        rank = get_rank()
    sequence = np.random.SeedSequence([torch.initial_seed() % 2**64, rank])
    state = sequence.generate_state(8)
    random.seed(int(state[0]) << 32 | int(state[1]))
    np.random.seed(state[2:6])
    torch.manual_seed((int(state[6]) << 32 | int(state[7])) >> 1)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    end_with_parent()


class WorkerStart:
    """A worker's initialisation after which it ends with its run.

    Args:
        inner: The loader's own ``worker_init_fn``, or None.
    """

    def __init__(self, inner: Callable[[int], Any] | None) -> None:
        while isinstance(inner, WorkerStart):  # of an earlier run with this loader
            inner = inner.inner
        self.inner: Callable[[int], Any] | None = inner

    def __call__(self, worker_id: int) -> None:
        """Set up worker ``worker_id``."""
        end_with_parent()
        if self.inner is not None:
            self.inner(worker_id)


_watched: int | None = None  # the process that has a watching thread


def end_with_parent(*, interval: float = 1.0) -> None:
    """End this process, from now on, as soon as the one that started it is gone.

    A process ended by SIGKILL (by the system short of memory, by a scheduler) tells nobody. torch's
    workers look for it between two batches, but one whose results nobody takes any more waits.

    Args:
        interval: Seconds between two looks.
    """
    global _watched
    if _watched == os.getpid():
        return
    _watched = os.getpid()
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(interval)
        os._exit(1)

    threading.Thread(target=watch, name='end_with_parent', daemon=True).start()

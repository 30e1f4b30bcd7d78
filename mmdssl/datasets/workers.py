"""Set up a data loader's worker process: its own random numbers every epoch, one thread each.

mmengine's default gives every worker the same seed again at each start, so without persistent
workers every epoch repeats the augmentations of the first. And OpenCV and torch start as many
threads in each worker as the machine has cores, which makes loading slower, not faster.
"""

import random

import cv2
import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.registry import FUNCTIONS as ROOT_FUNCTIONS

from mmdssl.registry import FUNCTIONS

__all__ = ['seed_worker']


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

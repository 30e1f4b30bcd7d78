"""Two gloo processes of a test."""

import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import multiprocessing as mp

__all__ = ['found_by_two', 'join_as_launched']


def found_by_two(rank: Callable[[int, str, str], None], folder: Path) -> list[dict]:
    """What two processes have saved.

    Args:
        rank: Called in each with its index, a file to meet at, and what the name of its result
            begins with: ``{out}{index}.pt``.
        folder: Of these files.
    """
    mp.spawn(rank, args=(str(folder / 'rendezvous'), str(folder / 'rank')), nprocs=2)
    return [torch.load(folder / f'rank{index}.pt', weights_only=True) for index in range(2)]


def join_as_launched(rank: int, rendezvous: str) -> None:
    """Join a group of two as a launcher's processes do, which mmengine's runner finds then.

    mmengine's own start of a process group asks for a GPU.

    Args:
        rank: Of this process.
        rendezvous: A file to meet at. A port could be somebody else's by then.
    """
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2')
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{rendezvous}', rank=rank, world_size=2
    )

"""How much memory a metric takes beside its features: for processes that tests start."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from mmengine.evaluator import BaseMetric

from mmdssl.engine.launch import leave_process_group

CLASSES = ('a', 'b')
ROWS, WIDTH = 3, 2048

Draw = Callable[[int, int, int], list[dict]]  # rank, processes, images -> samples


def resident() -> int:
    """Bytes of this process in memory; what its peak is counted from is forgotten."""
    Path('/proc/self/clear_refs').write_text('5', encoding='ascii')
    pages = Path('/proc/self/statm').read_text(encoding='ascii').split()[1]
    return int(pages) * os.sysconf('SC_PAGE_SIZE')


def peak() -> int:
    """Highest number of bytes in memory since the last :func:`resident`."""
    for line in Path('/proc/self/status').read_text(encoding='ascii').splitlines():
        if line.startswith('VmHWM:'):
            return int(line.split()[1]) * 1024
    raise RuntimeError('no VmHWM in /proc/self/status')


def object_samples(rank: int, world: int, images: int) -> list[dict]:
    """Every ``world``-th of the images, 3 objects each, one of ten a query: 25 kB an image."""
    result = []
    for index in range(rank, images, world):
        features = np.random.default_rng(index).standard_normal((ROWS, WIDTH), dtype=np.float32)
        result.append(
            dict(
                tag='query' if index % 10 == 0 else 'bank',
                object_features=torch.from_numpy(features),
                gt_instances=dict(labels=torch.arange(ROWS) % len(CLASSES)),
            )
        )
    return result


def peak_of(metric: BaseMetric, draw: Draw, images: int, *, rank: int, world: int) -> int:
    """Bytes at the peak of gathering and measuring, above what was there without features."""
    metric.dataset_meta = dict(classes=CLASSES)
    before = resident()
    for sample in draw(rank, world, images):
        metric.process(None, [sample])
    del sample
    metric.evaluate(images)
    return peak() - before


def measure(
    rank: int, world: int, folder: str, build: Callable[[], BaseMetric], draw: Draw, images: int
) -> None:
    """Peak of one process of ``world``, after a small run that pays for what is loaded once."""
    torch.set_num_threads(1)
    if world > 1:
        rendezvous = f'file://{folder}/rendezvous'
        torch.distributed.init_process_group(
            'gloo', init_method=rendezvous, rank=rank, world_size=world
        )
    peak_of(build(), draw, 40, rank=rank, world=world)
    found = peak_of(build(), draw, images, rank=rank, world=world)
    Path(folder, f'{world}-{rank}').write_text(str(found), encoding='ascii')
    leave_process_group()

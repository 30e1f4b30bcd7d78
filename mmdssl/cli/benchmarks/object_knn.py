"""The search of O-KNN at the size of COCO: 330k bank objects, 36k queries, 384 channels, top 20.

A share of the queries meets the whole bank and the time is scaled up: tiles of queries are
independent, so the cost is linear in them. ``rows(share=1)`` measures all of it.
"""

import statistics
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from mmdssl.evaluation.knn import knn_search, rank_classes

__all__ = ['peak', 'reset_peak', 'rows']

BANK, QUERIES, CHANNELS, K, CLASSES = 330_000, 36_000, 384, 20, 80
THREADS = 2


def rows(repeat: int = 3, share: float = 1 / 12) -> list[dict[str, Any]]:
    """Times search and vote on random unit features.

    Args:
        repeat: Timed runs; the median counts.
        share: Of the queries that are measured, in (0, 1].

    Returns:
        ``name``, ``value``, ``unit`` and ``target`` of the scaled time, of the processor time per
        thread (what the time is on a machine with nothing else to do) and of the memory the
        search takes beside its input.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    count = round(QUERIES * share)
    generator = torch.Generator().manual_seed(0)
    bank = F.normalize(torch.randn(BANK, CHANNELS, generator=generator), dim=1)
    queries = F.normalize(torch.randn(count, CHANNELS, generator=generator), dim=1)
    labels = torch.randint(CLASSES, (BANK,), generator=generator)
    seconds, busy = [], []
    try:
        knn_search(queries[:1024], bank[:32768], K, device='cpu')  # warm-up
        before = reset_peak()
        for _ in range(repeat):
            start, start_busy = time.perf_counter(), time.process_time()
            similarities, index = knn_search(queries, bank, K, device='cpu')
            rank_classes(similarities, labels[index], CLASSES)
            seconds.append(time.perf_counter() - start)
            busy.append((time.process_time() - start_busy) / THREADS)
        extra = peak() - before
    finally:
        torch.set_num_threads(threads)
    size = f'{BANK // 1000}k x {QUERIES // 1000}k x {CHANNELS}, top {K}'
    measured = '' if share == 1 else f' (measured: {count} queries, scaled)'
    name = f'O-KNN {size}, {THREADS} threads'
    return [
        dict(
            name=f'{name}{measured}',
            value=round(statistics.median(seconds) / share, 1),
            unit='s',
            target='<= 240',
        ),
        dict(
            name=f'{name}: processor time / {THREADS}{measured}',
            value=round(statistics.median(busy) / share, 1),
            unit='s',
        ),
        dict(name=f'O-KNN memory beside input, {count} queries', value=round(extra), unit='MiB'),
    ]


def reset_peak() -> float:
    """Start the peak of this process's memory anew; what it holds now, in MiB (Linux)."""
    Path('/proc/self/clear_refs').write_text('5')
    return peak()


def peak() -> float:
    """Peak of resident memory since the last reset, in MiB (Linux)."""
    status = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith('VmHWM'))

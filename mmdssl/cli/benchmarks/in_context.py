"""The search of in-context segmentation at its published size: a memory of 10.24 million patches.

VOC val asks with 1449 x 1024 patches of a ViT-S/16 at 512 px. A part of both sides is searched, the
memory in half precision, and the time is scaled up: it is linear in the queries, and in the memory
less than that, because late tiles hold few nearer patches. The memory itself is computed.
"""

import statistics
import time
from typing import Any

import torch
import torch.nn.functional as F

from mmdssl.cli.benchmarks.object_knn import peak, reset_peak
from mmdssl.evaluation.knn import knn_search

__all__ = ['rows']

MEMORY, QUERIES, CHANNELS, CLASSES, K = 10_240_000, 1449 * 1024, 384, 21, 30
PIXELS = 16 * 16  # of a patch: too many for a byte, so counts take two
THREADS = 2


def rows(repeat: int = 3, patches: int = 2**18, asking: int = 2**11) -> list[dict[str, Any]]:
    """Times the search on random unit features.

    Args:
        repeat: Timed runs; the median counts.
        patches: Patches of the memory that are searched.
        asking: Queries.

    Returns:
        ``name``, ``value`` and ``unit`` of the scaled time, of the processor time per thread, of
        what the search takes beside its input, and of what the whole memory takes.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    generator = torch.Generator().manual_seed(0)
    blocks = [
        F.normalize(torch.randn(1024, CHANNELS, generator=generator), dim=1).half()
        for _ in range(patches // 1024)
    ]
    queries = F.normalize(torch.randn(asking, CHANNELS, generator=generator), dim=1)
    seconds, busy = [], []
    try:
        knn_search(queries[:256], blocks[:16], K, device='cpu')  # warm-up
        before = reset_peak()
        for _ in range(repeat):
            start, start_busy = time.perf_counter(), time.process_time()
            knn_search(queries, blocks, K, device='cpu')
            seconds.append(time.perf_counter() - start)
            busy.append((time.process_time() - start_busy) / THREADS)
        extra = peak() - before
    finally:
        torch.set_num_threads(threads)
    scale = MEMORY / patches * QUERIES / asking / 3600
    size = f'{MEMORY / 1e6:.2f}M x {QUERIES / 1e6:.2f}M x {CHANNELS}, top {K}'
    part = f'(measured: {patches} x {asking}, scaled)'
    name = f'in-context search {size}, {THREADS} threads'
    held = MEMORY * (2 * CHANNELS + 2 * CLASSES) / 2**30
    return [
        dict(name=f'{name} {part}', value=statistics.median(seconds) * scale, unit='h'),
        dict(
            name=f'{name}: processor time / {THREADS} {part}',
            value=statistics.median(busy) * scale,
            unit='h',
        ),
        dict(name=f'in-context memory beside input, {asking} queries', value=extra, unit='MiB'),
        dict(
            name=f'in-context memory of {MEMORY / 1e6:.2f}M patches in float16 (computed)',
            value=held,
            unit='GiB',
        ),
    ]

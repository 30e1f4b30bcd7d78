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


def rows(repeat: int = 3, patches: int = 2**18, asking: int = 2**10) -> list[dict[str, Any]]:
    """Times the search on random unit features.

    Args:
        repeat: Timed runs; the median counts.
        patches: Patches of the memory that are searched.
        asking: Queries.

    Returns:
        ``name``, ``value`` and ``unit`` of the scaled processor time of one core, of what the
        search takes beside its input, and of what the whole memory takes.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    blocks = [
        F.normalize(torch.randn(1024, CHANNELS, generator=generator), dim=1).half()
        for _ in range(patches // 1024)
    ]
    queries = F.normalize(torch.randn(asking, CHANNELS, generator=generator), dim=1)
    busy = []
    try:
        knn_search(queries[:256], blocks[:16], K, device='cpu')  # warm-up
        before = reset_peak()
        for _ in range(repeat):
            start = time.process_time()
            knn_search(queries, blocks, K, device='cpu')
            busy.append(time.process_time() - start)
        extra = peak() - before
    finally:
        torch.set_num_threads(threads)
    scale = MEMORY / patches * QUERIES / asking / 3600
    size = f'{MEMORY / 1e6:.2f}M x {QUERIES / 1e6:.2f}M x {CHANNELS}, top {K}'
    # A patch of 16 x 16 pixels has more than a byte counts.
    held = MEMORY * (2 * CHANNELS + 2 * CLASSES) / 2**30
    return [
        dict(
            name=f'in-context search {size}, one core (measured: {patches} x {asking}, scaled)',
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

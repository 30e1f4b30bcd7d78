"""What this device can do at best: the two numbers that every other one is judged by."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

__all__ = ['rows']


def rows(device: str, *, smoke: bool) -> Iterator[dict[str, Any]]:
    """Matrix product and copy.

    Yields:
        ``name``, ``value``, ``unit``; the first row is the peak that MFU divides by.
    """
    side = 512 if smoke else 8192
    dtype = torch.bfloat16
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    seconds = best(lambda: a @ b, device, 2 if smoke else 10)
    yield dict(name='bf16 matrix product', value=2 * side**3 / seconds / 1e12, unit='TFLOP/s')
    large = torch.empty((16 if smoke else 2048) << 20, device=device, dtype=torch.uint8)
    into = torch.empty_like(large)
    seconds = best(lambda: into.copy_(large), device, 2 if smoke else 10)
    yield dict(name='copy, read and written', value=2 * large.numel() / seconds / 1e9, unit='GB/s')


def best(run: Callable[[], Any], device: str, repeat: int) -> float:
    """Seconds of the fastest of some runs."""
    run()
    fastest = float('inf')
    for _ in range(repeat):
        synchronize(device)
        start = time.perf_counter()
        run()
        synchronize(device)
        fastest = min(fastest, time.perf_counter() - start)
    return fastest


def synchronize(device: str) -> None:
    """Wait for the device; a CPU never lags."""
    if device == 'cuda':
        torch.cuda.synchronize()

"""The way of a batch to the network: copied to the device, colours changed, normalised."""

from collections.abc import Iterator
from typing import Any

import torch

from mmdssl.cli.benchmarks.gpu.ceilings import best
from mmdssl.cli.benchmarks.loader import colour_step

__all__ = ['rows']


def rows(device: str, *, smoke: bool) -> Iterator[dict[str, Any]]:
    """Milliseconds for both 224 px views of a batch of 256 (512 views), colours of iBOT-D."""
    size = 8 if smoke else 256
    repeat = 1 if smoke else 10
    views = [torch.randint(256, (size, 3, 224, 224), dtype=torch.uint8) for _ in range(2)]
    if device == 'cuda':
        views = [view.pin_memory() for view in views]
        seconds = best(
            lambda: [view.to(device, non_blocking=True) for view in views], device, repeat
        )
        yield dict(name=f'copy of {2 * size} views to the device', value=1000 * seconds, unit='ms')
    preprocessor = colour_step().to(device)
    there = dict(inputs=dict(views=[view.to(device) for view in views]))
    torch.manual_seed(0)
    seconds = best(lambda: preprocessor(there, training=True), device, repeat)
    yield dict(
        name=f'colours of {2 * size} views',
        value=1000 * seconds,
        unit='ms',
        target='<= 15' if device == 'cuda' else '',
    )

"""Local semantic consistency of one 512 px image against the bare forward passes of its crops.

What may come on top of the crops' passes is one pass of the whole image, the cutting of the crops
and the cosines.
"""

import statistics
import time
from typing import Any

import torch
from mmpretrain.models.backbones import ResNet

from mmdssl.evaluation.consistency import local_consistency
from mmdssl.models.backbones.dense_vit import DenseViT

__all__ = ['rows']

SIDE, PATCH, CROP, CHUNK = 512, 16, 5, 112
THREADS = 2


def rows(repeat: int = 3) -> list[dict[str, Any]]:
    """Times both, one after the other, and takes the ratio within each round.

    Args:
        repeat: Rounds; the medians count.

    Returns:
        ``name``, ``value``, ``unit`` and ``target`` of the map's time, of the ratio, and of the
        ratio of processor times (the ratio on a machine with nothing else to do), for a ViT-S/16
        and a ResNet-50.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        nets = {'ViT-S/16': DenseViT(), 'ResNet-50': ResNet(depth=50)}
        return [row for name, net in nets.items() for row in _compare(name, net, repeat)]
    finally:
        torch.set_num_threads(threads)


def _compare(name: str, net: torch.nn.Module, repeat: int) -> list[dict[str, Any]]:
    net.eval()
    image = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    side = CROP * PATCH
    count = ((SIDE - side) // PATCH + 1) ** 2
    crops = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))
    seconds, ratios, busy = [], [], []
    with torch.no_grad():
        net(crops[:CHUNK])  # warm-up
        for _ in range(repeat):
            start, start_busy = time.perf_counter(), time.process_time()
            local_consistency(net, image, patch=PATCH, crop=CROP, chunk=CHUNK)
            between, between_busy = time.perf_counter(), time.process_time()
            for part in crops.split(CHUNK):
                net(part)
            seconds.append(between - start)
            ratios.append(seconds[-1] / (time.perf_counter() - between))
            busy.append((between_busy - start_busy) / (time.process_time() - between_busy))
    title = f'LSC of one {SIDE} px image ({count} crops), {name}, {THREADS} threads'
    return [
        dict(name=title, value=statistics.median(seconds), unit='s'),
        dict(
            name=f'{title}: times the passes of its crops',
            value=statistics.median(ratios),
            unit='x',
            target='<= 1.3',
        ),
        dict(
            name=f'{title}: the same in processor time',
            value=statistics.median(busy),
            unit='x',
        ),
    ]

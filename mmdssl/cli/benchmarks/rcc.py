"""Microseconds per mask on one core: RCC with its grid boxes, and what it is compared with.

Times are CPU time of this process, the median over batches of calls through the transforms
themselves, as a pipeline runs them.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mmdssl.datasets.transforms.masks import BlockwiseMask
from mmdssl.datasets.transforms.region_collaborative_cutout import RegionCollaborativeCutout
from mmdssl.datasets.transforms.regions import GridRegions

CALLS = 200


def rows(repeat: int = 40) -> list[dict[str, Any]]:
    """Times every kind of mask.

    Args:
        repeat: batches of 200 calls, taken in turn; the median counts.

    Returns:
        ``name``, ``value`` (us), ``unit``, ``target`` and ``reference``: the fastest batch, which
        is what the code takes while nothing else runs, and the official code on one core of a
        2.5 GHz Xeon.
    """
    results: dict[str, Any] = dict(img=np.zeros((224, 224, 3), np.uint8))
    regions = GridRegions()
    patches = RegionCollaborativeCutout(ratio=(0.2, 0.6), mask_size=14)
    pixels = RegionCollaborativeCutout(ratio=(0.2, 0.6))
    blocks = BlockwiseMask(ratio=(0.3, 0.5), mask_size=14)
    ways: dict[str, tuple[Callable[[], Any], str, str]] = {
        'grid boxes alone': (lambda: regions(results), '', ''),
        'RCC with its grid boxes, 14x14': (
            lambda: patches(regions(results)),
            '<= 50',
            '; official 430-660',
        ),
        'RCC with its grid boxes, 224x224': (
            lambda: pixels(regions(results)),
            '<= 150',
            '; official 343 without boxes',
        ),
        'block mask, 14x14': (lambda: blocks(results), '', '; official 142-342'),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(repeat + 1):
        for name, (call, _, _) in ways.items():
            start = time.process_time()
            for _ in range(CALLS):
                call()
            if round_number:  # the first round warms up
                seconds[name].append((time.process_time() - start) / CALLS)
    return [
        dict(
            name=name,
            value=round(1e6 * statistics.median(seconds[name]), 1),
            unit='us',
            target=target,
            reference=f'fastest {1e6 * min(seconds[name]):.1f}{official}',
        )
        for name, (_, target, official) in ways.items()
    ]

"""Inter-object coupling at full size: 200 pairs, 10 ratios, ViT-S/16, a canvas of 224 x 448.

A few pairs are measured and the time is scaled up: pairs are independent, so the cost is linear
in them. Scenes are drawn for it, so that no data are needed.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from mmdssl.datasets.scenes import PRESETS, SceneSpec, write_scenes
from mmdssl.evaluation.measure import build_diagnostic, measure
from mmdssl.models.backbones.dense_vit import DenseViT

__all__ = ['rows']

PAIRS, RATIOS, SIZE = 200, 10, 224
THREADS = 2


def rows(repeat: int = 1, pairs: int = 12) -> list[dict[str, Any]]:
    """Times composing the images, the passes and the metric.

    Args:
        repeat: Timed runs; the fastest counts.
        pairs: Pairs measured of the 200.

    Returns:
        ``name``, ``value``, ``unit`` and ``target`` of the scaled time in both precisions, and of
        the processor time per thread (the time on a machine with nothing else to do).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        with tempfile.TemporaryDirectory() as folder:
            spec = SceneSpec(**PRESETS['miniature'])
            write_scenes(folder, spec, images=2 * pairs, val_images=0, progress=False)
            return [
                row
                for precision in ('float32', 'bfloat16')
                for row in _time(Path(folder), precision, repeat, pairs)
            ]
    finally:
        torch.set_num_threads(threads)


def _time(folder: Path, precision: Any, repeat: int, pairs: int) -> list[dict[str, Any]]:
    net = DenseViT(img_size=SIZE)
    probe = build_diagnostic(
        dict(
            dataloader=dict(
                batch_size=1,
                num_workers=0,
                sampler=dict(type='DefaultSampler', shuffle=False),
                collate_fn=dict(type='default_collate'),
                dataset=dict(
                    type='ObjectPairs',
                    num=pairs,
                    size=SIZE,
                    source='crop',
                    remove='auto',
                    min_side=8,
                    ratios=[number / RATIOS for number in range(RATIOS)],
                    data_root=folder,
                    ann_file='annotations/instances_train.json',
                    data_prefix='train',
                ),
            ),
            evaluator=dict(type='InterObjectCoupling'),
        ),
        backbone=net,
    )
    seconds, busy = [], []
    with torch.no_grad():
        net(torch.zeros(2, 3, SIZE, 2 * SIZE))  # warm-up
    for _ in range(repeat):
        start, start_busy = time.perf_counter(), time.process_time()
        measure(net, None, probe.loader, probe.metrics, precision=precision, progress=False)
        seconds.append(time.perf_counter() - start)
        busy.append((time.process_time() - start_busy) / THREADS)
    name = f'coupling {PAIRS} pairs x {RATIOS} ratios, ViT-S/16, {SIZE} x {2 * SIZE}, {precision}'
    measured = f' (measured: {pairs} pairs, scaled)'
    return [
        dict(
            name=f'{name}, {THREADS} threads{measured}',
            value=round(min(seconds) * PAIRS / pairs, 1),
            unit='s',
            target='<= 240',
        ),
        dict(
            name=f'{name}: processor time / {THREADS}{measured}',
            value=round(min(busy) * PAIRS / pairs, 1),
            unit='s',
        ),
    ]

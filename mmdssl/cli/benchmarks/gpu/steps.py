"""Training steps as users run them on a GPU: bf16, compiled blocks, channels-last, fused optimizer.

A step is losses, backward, clipping, optimizer and teacher, without the preprocessor. Inputs are
random pixels with masks and boxes as the loader makes them (:mod:`mmdssl.cli.benchmarks.step`);
masks are known on the host as they are in training.
"""

import gc
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch.utils.flop_counter import FlopCounterMode

from mmdssl.cli.benchmarks import step as published
from mmdssl.cli.benchmarks.gpu.ceilings import synchronize
from mmdssl.engine.config import load_config
from mmdssl.engine.efficiency.compiled_blocks import compile_blocks
from mmdssl.engine.finite import StepGuard
from mmdssl.models.utils.host_copies import HOST, HostCopies

__all__ = ['ROWS', 'Row', 'rows']

_BY_NAME = {v.name: v for group in published.VARIANTS.values() for v in group}


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        name: Shown.
        variant: Of ``mmdssl/cli/benchmarks/step.py``: config, changes and batch.
        batch: Images on a GPU.
        compiled: Compile the transformer blocks.
        channels_last: Memory format of convolutions.
        guarded: Take steps back that are not finite, as runs do.
        against: Row whose images/s this one is compared with.
        target: Of images/s.
        floor: Least possible share of the plain step's time that the branch adds, in %.
    """

    name: str
    variant: str
    batch: int
    compiled: bool = False
    channels_last: bool = False
    guarded: bool = True
    against: str | None = None
    target: str = ''
    floor: float | None = None


ROWS = (
    Row('iBOT ViT-S/16, eager', 'iBOT', 256),
    Row('iBOT ViT-S/16', 'iBOT', 256, compiled=True, target='>= 2700'),
    Row('iBOT ViT-S/16, steps not guarded', 'iBOT', 256, compiled=True, guarded=False),
    Row(
        'iBOT-D ViT-S/16, a quarter of one view',
        'iBOT-D, 25 % of one key view',
        256,
        compiled=True,
        against='iBOT ViT-S/16',
        floor=9.4,
    ),
    Row(
        'iBOT-D ViT-S/16, a quarter of both views',
        'iBOT-D, 25 % of both key views',
        256,
        compiled=True,
        against='iBOT ViT-S/16',
        floor=18.8,
    ),
    Row('DenseCL R50', 'DenseCL', 128, channels_last=True),
    Row('DenseCL-D R50', 'DenseCL-D', 128, channels_last=True, against='DenseCL R50', floor=18.8),
    Row('SoCo R50-C4', 'SoCo', 128, channels_last=True),
    Row(
        'SoCo-D R50-C4, a quarter of one view',
        'SoCo-D, 25 % of one key view',
        128,
        channels_last=True,
        against='SoCo R50-C4',
        floor=9.4,
    ),
    Row('MaskAlign ViT-S/16 beside ViT-B/16', 'MaskAlign', 256, compiled=True),
    Row(
        'MaskAlign-D ViT-S/16 beside ViT-B/16',
        'MaskAlign-D',
        256,
        compiled=True,
        against='MaskAlign ViT-S/16 beside ViT-B/16',
        floor=15.9,
    ),
    Row('Leopart ViT-S/16, six views', 'Leopart', 64, compiled=True),
    Row(
        'Leopart-D ViT-S/16, a quarter of both global views',
        'Leopart-D, 25 % of both global views',
        64,
        compiled=True,
        against='Leopart ViT-S/16, six views',
        floor=14.7,
    ),
    Row('D3SSL R50-C4', 'D3SSL', 64, channels_last=True),
)


def rows(
    device: str,
    *,
    smoke: bool,
    peak: float,
    only: Sequence[str] = (),
    eager: bool = False,
    repeat: int | None = None,
) -> Iterator[dict[str, Any]]:
    """Images per second, milliseconds, memory and utilisation of every row.

    Args:
        device: ``'cuda'`` or ``'cpu'``.
        smoke: Batches of 4, one step: shows that the path works.
        peak: TFLOP/s of a large matrix product, which MFU divides by.
        only: Rows with one of these in their name; none: all.
        eager: Compile nothing; names say so.
        repeat: Steps timed; default 20, 1 in smoke.

    Yields:
        ``name``, ``value``, ``unit``, and ``target``, ``reference`` where they apply; a row that
        fails is one of unit ``'failed'`` with the reason, and the others go on.
    """
    speeds: dict[str, float] = {}
    for row in ROWS:
        if only and not any(text in row.name for text in only):
            continue
        if eager and row.compiled:
            against = None if row.against is None else f'{row.against}, eager'
            row = replace(row, name=f'{row.name}, eager', compiled=False, against=against)
        try:
            found = measure(row, device, smoke=smoke, peak=peak, repeat=repeat)
        except Exception as error:  # one host that cannot run here must not hide the others
            reason = f'{type(error).__name__}: {error}'.splitlines()[0][:300]
            yield dict(name=f'step {row.name}', value=float('nan'), unit='failed', reference=reason)
            continue
        finally:
            gc.collect()
            if device == 'cuda':
                torch.cuda.empty_cache()
        size = 4 if smoke else row.batch
        title = f'step {row.name}, batch {size}'
        speeds[row.name] = found['images/s']
        yield dict(name=title, value=found['images/s'], unit='images/s', target=row.target)
        for unit in ('ms', 'ms of the host', 'GB', 'GFLOP/image', '% MFU', 's to start'):
            yield dict(name=title, value=found[unit], unit=unit)
        if row.against in speeds:
            yield dict(
                name=f'{row.name} over plain',
                value=100 * (speeds[row.against] / found['images/s'] - 1),
                unit='% more time',
                target='' if row.floor is None else f'<= {row.floor + 5}',
                reference=f'floor {row.floor}',
            )


def measure(
    row: Row, device: str, *, smoke: bool, peak: float, repeat: int | None = None
) -> dict[str, float]:
    """Figures of one row by unit."""
    size = 4 if smoke else row.batch
    repeat = repeat or (1 if smoke else 20)
    start = time.perf_counter()
    model, batch = build(row, size, device, smoke=smoke)
    dtype = None if smoke else torch.bfloat16
    step = step_of(model, batch, row, device, dtype=dtype)
    flops = count_flops(row, device, model, dtype=dtype)
    if row.compiled and not smoke:  # a smoke run compiles nothing: minutes on a CPU
        compile_blocks(model)
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
    for _ in range(0 if smoke else 4):
        step()
    synchronize(device)
    begin = time.perf_counter() - start
    seconds, launched = timed(step, device, repeat)
    memory = torch.cuda.max_memory_allocated() / 1e9 if device == 'cuda' else float('nan')
    speed = size / statistics.median(seconds)
    return {
        'images/s': speed,
        'ms': 1000 * statistics.median(seconds),
        'GB': memory,
        'GFLOP/image': flops / 1e9,
        '% MFU': 100 * speed * flops / (peak * 1e12),
        's to start': begin,
        'ms of the host': 1000 * launched,
    }


def timed(step: Callable[[], None], device: str, repeat: int) -> tuple[list[float], float]:
    """Seconds of single steps, and what the host takes to launch one.

    On a GPU nobody waits between the steps; the second number is that of a step of its own, whose
    start finds the device idle. Where it is as long as the first, the host is what limits.
    """
    synchronize(device)
    start = time.perf_counter()
    step()
    launched = time.perf_counter() - start
    if device != 'cuda':
        seconds = []
        for _ in range(repeat):
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
        return seconds, launched
    torch.cuda.synchronize()
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(repeat + 1)]
    marks[0].record()
    for mark in marks[1:]:
        step()
        mark.record()
    torch.cuda.synchronize()
    return [a.elapsed_time(b) / 1000 for a, b in itertools.pairwise(marks)], launched


def build(row: Row, size: int, device: str, *, smoke: bool = False) -> tuple[Any, dict]:
    """Model and batch of a row, on the device; of a narrow network where only the path matters."""
    variant = _BY_NAME[row.variant]
    init_default_scope('mmdssl')
    config = load_config(published.CONFIGS / variant.config)
    config.merge_from_dict(dict(model=variant.model))
    if smoke:
        narrow(config.model)
    torch.manual_seed(0)
    np.random.seed(0)
    batch = on_device(variant.batch(size), device, channels_last=row.channels_last)
    return published.model_on(device, config.model, channels_last=row.channels_last), batch


def narrow(part: Any) -> None:
    """An eighth of the width in every network of a config, in place."""
    if not isinstance(part, dict):
        return
    if part.get('type') in ('DenseViT', 'SinCosViT'):
        part['arch'] = dict(embed_dims=48, num_layers=12, num_heads=3, feedforward_channels=96)
    elif part.get('type') == 'ResNet':
        part.update(stem_channels=8, base_channels=8)
    for key in ('in_channels', 'hid_channels', 'hidden_channels'):
        if isinstance(part.get(key), int) and part[key] > 256:
            part[key] //= 8
    for value in list(part.values()):
        narrow(value)


def step_of(
    model: Any, batch: dict, row: Row, device: str, *, dtype: torch.dtype | None
) -> Callable[[], None]:
    """A closure that trains one step, under autocast if a dtype is given."""
    config = load_config(published.CONFIGS / _BY_NAME[row.variant].config)
    settings = published.wrapper_settings(config)
    if device == 'cuda' and settings['optimizer']['type'] in ('AdamW', 'SGD'):
        settings['optimizer']['fused'] = True
    wrapper = build_optim_wrapper(model, settings)
    guard = StepGuard(model=model, wrapper=wrapper) if row.guarded else None
    if guard is not None:
        guard.attach()

    def step() -> None:
        if guard is not None:
            guard.begin()
        with torch.autocast(device, dtype, enabled=dtype is not None):
            losses = model.loss(batch)
        wrapper.update_params(model.parse_losses(losses)[0])
        if hasattr(model, 'update_teacher'):
            (guard or model).update_teacher()

    return step


def count_flops(row: Row, device: str, model: Any, *, dtype: torch.dtype | None) -> float:
    """Floating-point operations of a step and image: products and convolutions, both passes."""
    size = 4
    batch = on_device(_BY_NAME[row.variant].batch(size), device, channels_last=row.channels_last)
    queues = [m for m in model.modules() if hasattr(m, 'enqueue')]
    for queue in queues:  # a batch of another size does not fit them
        queue.enqueue = lambda keys: None
    counter = FlopCounterMode(display=False)
    try:
        with counter, torch.autocast(device, dtype, enabled=dtype is not None):
            model.parse_losses(model.loss(batch))[0].backward()
    finally:
        for queue in queues:
            del queue.enqueue
    model.zero_grad(set_to_none=True)
    return counter.get_total_flops() / size


def on_device(batch: dict, device: str, *, channels_last: bool) -> dict:
    """A batch where a loader and its preprocessor leave it."""
    there = published.on_device(batch, device, channels_last=channels_last)
    return there if device == 'cpu' else {**there, HOST: HostCopies(batch)}

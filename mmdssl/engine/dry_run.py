"""A rehearsal of a run: all is built, a few steps are measured, nothing is left half done."""

import copy
import json
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmdssl.core.checkpointing import atomic_text
from mmdssl.engine.frameworks import framework_of
from mmdssl.engine.launch import build_runner
from mmdssl.engine.scaling import Links, hours_on
from mmdssl.engine.unwrap import unwrap_model
from mmdssl.models.utils.collectives import all_reduce

__all__ = ['DryRunReport', 'dry_run']

_PROCESSES = (1, 8, 64)


@dataclass(frozen=True)
class DryRunReport:
    """What a rehearsal found.

    Attributes:
        device: Name of the device.
        images_per_batch: Images of one iteration, over all processes.
        iterations: Iterations of the whole run.
        measured: Iterations measured.
        seconds_per_iteration: Mean, waiting for data included.
        images_per_second: Of all processes, in training.
        loader_share: Share of the time spent waiting for data, 0 to 1.
        loader_images_per_second: What the loader alone delivers, over all processes.
        memory_gb: Peak resident memory of the main process, 10^9 bytes.
        workers_memory_gb: Resident memory of its loader workers.
        gpu_memory_gb: Peak memory allocated on the GPU; None without one.
        hours: The whole run at this rate, evaluations not counted.
        gradient_bytes: Of all that is trained, in float32: what processes exchange in a step.
        hours_on: Hours on other numbers of processes like this one, see
            :mod:`mmdssl.engine.scaling`.
        picture: Picture of a batch.
    """

    device: str
    images_per_batch: int
    iterations: int
    measured: int
    seconds_per_iteration: float
    images_per_second: float
    loader_share: float
    loader_images_per_second: float
    memory_gb: float
    workers_memory_gb: float
    gpu_memory_gb: float | None
    hours: float
    gradient_bytes: int
    hours_on: dict[int, float]
    picture: str

    def __str__(self) -> str:
        gpu = '' if self.gpu_memory_gb is None else f', {self.gpu_memory_gb:.2f} GB on the GPU'
        return '\n'.join(
            (
                f'device            {self.device}',
                f'batch             {self.images_per_batch} images',
                f'speed             {self.images_per_second:.1f} images/s, '
                f'{self.seconds_per_iteration:.3f} s per iteration (mean of {self.measured})',
                f'waiting for data  {self.loader_share:.0%} of the time; the loader alone delivers '
                f'{self.loader_images_per_second:.1f} images/s',
                f'memory            {self.memory_gb:.2f} GB, loader workers '
                f'{self.workers_memory_gb:.2f} GB{gpu}',
                f'estimated total   {self.iterations} iterations, {self.hours:.2f} hours '
                '(evaluations not counted)',
                'more processes    '
                + '; '.join(f'{n}: {hours:.2f} h' for n, hours in self.hours_on.items())
                + f' for the same images, each with this batch and speed ({Links()}): an estimate',
                f'sample batch      {self.picture}',
            )
        )


def dry_run(
    config: Config, *, steps: int = 20, warmup: int = 2, seconds: float = 90.0
) -> DryRunReport:
    """Rehearse the run of a config.

    The rehearsal itself lives in a temporary folder; ``<work_dir>/dry_run`` receives
    ``batch.png`` and ``report.json``, and the run's own files are not touched.

    Args:
        config: A config as :func:`prepare_config` leaves it.
        steps: Iterations to measure.
        warmup: Iterations before the first measured one.
        seconds: Measure no longer than this (two iterations at least).

    Returns:
        The measurements. Printing it gives a table.
    """
    target = Path(config.work_dir) / 'dry_run'
    config = copy.deepcopy(config)
    config.resume = False
    # No checkpoints, no curves: nothing that outlives the rehearsal.
    config.default_hooks = {**config.get('default_hooks', {}), 'checkpoint': None}
    config.visualizer = dict(type='Visualizer')
    for hook in config.get('custom_hooks', []):
        if 'initial' in hook:  # an evaluation before the first step can take minutes
            hook['initial'] = False
    with tempfile.TemporaryDirectory(prefix='mmdssl_dry_run_') as folder:
        config.work_dir = folder
        runner = build_runner(config)
        watch = _Stopwatch(steps=steps, warmup=warmup, seconds=seconds)
        runner.register_hook(watch)
        try:
            runner.train()
        except _EnoughError:
            runner.logger.info(f'Measured {len(watch.durations)} iterations')
        # A loader of its own: leaving the loop has closed an endless sampler for good.
        loader = runner.build_dataloader(config.train_dataloader, seed=runner.seed)
        loader_rate = _loader_rate(loader, seconds=min(seconds / 6, 5.0))
        report = _report(runner, watch, loader_rate, target / 'batch.png')
        if is_main_process():
            _draw(runner, watch.batch, target / 'batch.png')
            atomic_text(json.dumps(asdict(report), indent=2) + '\n', target / 'report.json')
    return report


def _draw(runner: Runner, batch: dict, path: Path) -> None:
    # matplotlib: only where it is used
    from mmdssl.visualization.labelled import draw_labelled_batch
    from mmdssl.visualization.views import draw_batch

    path.parent.mkdir(parents=True, exist_ok=True)
    model = unwrap_model(runner.model)
    if framework_of(runner.cfg) is not None:
        classes = getattr(runner.train_dataloader.dataset, 'metainfo', {}).get('classes', ())
        draw_labelled_batch(batch, path, data_preprocessor=model.data_preprocessor, classes=classes)
        return
    draw_batch(
        batch,
        model.data_preprocessor,
        path,
        branch=getattr(model, 'decoupling', None),
        compose=getattr(model, 'compose', None),
    )


def _report(runner: Runner, watch: '_Stopwatch', loader_rate: float, picture: Path) -> DryRunReport:
    per_batch = _batch_size(runner.train_dataloader) * runner.world_size
    duration = statistics.fmean(watch.durations)
    trained = (one for one in runner.model.parameters() if one.requires_grad)
    gradient_bytes = 4 * sum(one.numel() for one in trained)
    gpu = torch.cuda.is_available()
    return DryRunReport(
        device=torch.cuda.get_device_name() if gpu else f'CPU, {torch.get_num_threads()} threads',
        images_per_batch=per_batch,
        iterations=runner.max_iters,
        measured=len(watch.durations),
        seconds_per_iteration=duration,
        images_per_second=per_batch / duration,
        loader_share=sum(watch.waits) / sum(watch.durations),
        loader_images_per_second=loader_rate * runner.world_size,
        memory_gb=_peak_memory() / 1e9,
        workers_memory_gb=watch.workers_memory / 1e9,
        gpu_memory_gb=torch.cuda.max_memory_allocated() / 1e9 if gpu else None,
        hours=duration * runner.max_iters / 3600,
        gradient_bytes=gradient_bytes,
        hours_on={
            processes: hours_on(
                processes,
                images=per_batch * runner.max_iters,
                batch=per_batch // runner.world_size,
                seconds=duration,
                gradient_bytes=gradient_bytes,
            )
            for processes in _PROCESSES
        },
        picture=str(picture),
    )


class _EnoughError(Exception):
    """Leaves the training loop."""


class _Stopwatch(Hook):
    """Times iterations from the end of one to the end of the next, and the wait for data in it."""

    priority = 'LOWEST'

    def __init__(self, *, steps: int, warmup: int, seconds: float) -> None:
        self.steps, self.warmup, self.seconds = steps, warmup, seconds
        self.durations: list[float] = []
        self.waits: list[float] = []
        self.workers_memory = 0
        self.batch: dict = {}
        self._first: tuple[float, float] | None = None

    def before_train(self, runner: Runner) -> None:
        self._start = self._end = time.perf_counter()
        self._count = 0

    def before_train_epoch(self, runner: Runner) -> None:
        # The first iteration of an epoch may wait for workers to start.
        self._end = time.perf_counter()
        self._fresh = True

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self._fetched = time.perf_counter()
        if not self.batch:
            self.batch = copy.deepcopy(data_batch)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Note how long the step and its wait for data took; stop after enough of them."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        times = (now - self._end, self._fetched - self._end)
        self._count += 1
        if self._count > self.warmup and not self._fresh:
            self.durations.append(times[0])
            self.waits.append(times[1])
        self._fresh = False
        last = self._count >= runner.max_iters
        if last and not self.durations:  # a run of an iteration or two: better than nothing
            self.durations, self.waits = [times[0]], [times[1]]
        self.workers_memory = max(self.workers_memory, _workers_memory())
        late = now - self._start > self.seconds and len(self.durations) >= 2
        if _any_process(len(self.durations) >= self.steps or late or last):
            raise _EnoughError
        self._end = time.perf_counter()


def _any_process(wish: bool) -> bool:
    """Whether any process wishes so: all leave the loop in the same iteration."""
    flag = torch.tensor(int(wish))
    all_reduce(flag, op='max')
    return bool(flag)


def _loader_rate(loader: DataLoader, *, seconds: float) -> float:
    """Images per second that a loader delivers when nobody computes.

    Begins when the batches that lay ready at the start are used up.
    """
    ready = loader.num_workers * (loader.prefetch_factor or 0)
    start, count = time.perf_counter(), 0
    for index, _ in enumerate(loader):
        if index < min(1 + ready, len(loader) - 2):
            start, count = time.perf_counter(), 0
            continue
        count += 1
        if time.perf_counter() - start > seconds:
            break
    return count * _batch_size(loader) / (time.perf_counter() - start)


def _batch_size(loader: DataLoader) -> int:
    return loader.batch_size or loader.batch_sampler.batch_size  # type: ignore[union-attr]


def _peak_memory() -> int:
    """Largest resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == 'darwin' else peak * 1024


def _workers_memory() -> int:
    """Resident memory of the child processes, in bytes (0 where /proc does not tell)."""
    total = 0
    for child in multiprocessing.active_children():
        status = Path(f'/proc/{child.pid}/status')
        if status.exists():
            lines = status.read_text().splitlines()
            total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith('VmRSS'))
    return total

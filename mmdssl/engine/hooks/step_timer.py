"""Images a second, the share of waiting for data, utilisation, time left: asked by the log."""

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from mmengine.hooks import Hook, IterTimerHook
from mmengine.runner import Runner

from mmdssl.engine.throughput.marks import DeviceClock, HostClock, StepMarks
from mmdssl.engine.throughput.model_flops import flops_per_image
from mmdssl.engine.throughput.peaks import peak_flops
from mmdssl.engine.unwrap import unwrap_model
from mmdssl.registry import HOOKS

__all__ = ['StepTimerHook', 'paused']


@HOOKS.register_module()
class StepTimerHook(IterTimerHook):
    """mmengine's ``IterTimerHook``, right on a GPU: see :mod:`mmdssl.engine.throughput.marks`.

    Evaluations and checkpoints (:func:`paused`) count neither as training nor as waiting, but in
    the time left. Validation and test loops are timed as mmengine does.
    """

    # First: what other hooks do before a step is part of it.
    priority = 'HIGHEST'

    def __init__(self) -> None:
        super().__init__()
        self.marks = StepMarks(HostClock())
        self._since: tuple[int, float] | None = None
        self._begun = (0, 0.0)  # iteration, and the host's time
        self._flops: float | None = None
        self._peak: float | None = None
        self._known: dict[str, float] = {}

    def before_run(self, runner: Runner) -> None:
        """Be the last of all hooks after a step, too."""
        if not any(isinstance(hook, _StepEnd) for hook in runner.hooks):
            runner.register_hook(_StepEnd(self))

    def before_train(self, runner: Runner) -> None:
        """Start anew, and count what a step computes where the peak of the device is known."""
        super().before_train(runner)
        on_gpu = torch.cuda.is_available()
        self.marks = StepMarks(DeviceClock() if on_gpu else HostClock())
        self._since, self._known = None, {}
        if on_gpu:
            self._count(runner)

    def _count(self, runner: Runner) -> None:
        wrapper = runner.optim_wrapper
        half = getattr(wrapper, 'cast_dtype', None) if 'Amp' in type(wrapper).__name__ else None
        tf32 = 'tf32' if torch.backends.cuda.matmul.allow_tf32 else 'float32'
        precision = 'half' if 'Amp' in type(wrapper).__name__ else tf32
        self._peak = peak_flops(torch.cuda.get_device_name(), precision)
        model = unwrap_model(runner.model)
        if self._peak is None or not hasattr(model, 'clock'):  # a detector has other batches
            return
        dtype = half or (torch.float16 if precision == 'half' else None)
        try:
            self._flops = flops_per_image(model, runner.train_dataloader.dataset, dtype=dtype)
        except RuntimeError as error:  # out of memory, an operation that cannot be counted
            runner.logger.info(f'MFU is not shown: {str(error).splitlines()[0]}')

    def before_train_epoch(self, runner: Runner) -> None:
        """Nothing: an epoch's first wait for data is one."""

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """The batch is there."""
        self.marks.begin()
        self._begun = runner.iter, time.perf_counter()
        if self._since is None and runner.iter > self.start_iter:
            self._since = self._begun  # the first step compiles, and starts the workers

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Nothing: the step ends behind all hooks."""

    def report(self, runner: Runner) -> dict[str, float]:
        """Figures of the steps since the last report, for a log.

        Returns:
            ``time`` and ``data_time`` (seconds a step), ``images_per_second`` of all processes,
            ``waiting_for_data`` (0 to 1), ``mfu`` (0 to 1) where it is known, ``seconds_left``.
            Those of the last report where no step was completed since; empty before the second
            step.
        """
        pace = self.marks.report()
        if pace is not None:
            images = _batch_size(runner) * runner.world_size
            self._known = dict(
                time=pace.seconds,
                data_time=pace.waiting,
                images_per_second=images / max(pace.seconds, 1e-9),
                waiting_for_data=pace.share,
            )
            if self._flops and self._peak:
                mine = self._known['images_per_second'] / runner.world_size
                self._known['mfu'] = mine * self._flops / self._peak
        if self._since is not None and self._begun[0] > self._since[0]:
            (first, start), (last, now) = self._since, self._begun
            each = (now - start) / (last - first)
            self._known['seconds_left'] = each * (runner.max_iters - runner.iter - 1)
            runner.message_hub.update_info('eta', self._known['seconds_left'])
        return dict(self._known)


class _StepEnd(Hook):
    """Tells a timer that all hooks are done with a step."""

    priority = 'LOWEST'

    def __init__(self, timer: StepTimerHook) -> None:
        self.timer = timer

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """From here on, whoever has nothing to do waits for data."""
        self.timer.marks.end()


def paused(runner: Runner) -> AbstractContextManager[None]:
    """A context for what interrupts training: an evaluation, a checkpoint."""
    for hook in getattr(runner, 'hooks', ()):
        if isinstance(hook, StepTimerHook):
            return hook.marks.paused()
    return nullcontext()


def _batch_size(runner: Runner) -> int:
    loader = runner.train_dataloader
    return loader.batch_size or loader.batch_sampler.batch_size

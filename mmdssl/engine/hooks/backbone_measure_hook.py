"""What hooks that measure the backbone during its own pre-training share: when, and where to.

A measurement leaves the run as it was: training modes, random states and parameters. A measured
run and one that is not are bit-equal.
"""

import json
import time
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import nn

from mmdssl.core.checkpointing import atomic_text
from mmdssl.datasets.coco_checks import missing_left_out
from mmdssl.engine.hooks.step_timer import paused
from mmdssl.engine.unwrap import unwrap_model
from mmdssl.evaluation.guards import preserve_rng_state

__all__ = ['BackboneMeasureHook']


class BackboneMeasureHook(Hook):
    """Base: calls :meth:`measure` every ``interval`` epochs or iterations and at the end.

    The numbers go to the visualizer and the message hub (step: iterations done), to one line of
    the log and to one line of ``work_dir/<file>``: ``{"epoch": ..., "iter": ..., "seconds": ...,
    "oknn/top1": ..., ...}``. A resumed run goes on with that file, a fresh one starts it anew.

    Args:
        interval: Epochs, or iterations, between measurements; the end of the run is measured too.
        by_epoch: Count epochs (of an epoch-based loop) or iterations.
        source: 'teacher' or 'student', as the host's ``get_backbone`` names them, or 'auto': the
            one that the host says is kept.
        initial: Measure the untrained backbone as well.
        file: Name of the file of results in the working directory.

    Raises:
        ValueError: If the interval is not positive; at the start of the run, if the loop knows no
            epochs or the model offers no backbone.
    """

    # After the teacher's update (an iteration's end is one step) and before the checkpoint.
    priority = 'LOW'

    #: What the line of the log begins with.
    title = 'Backbone'

    def __init__(
        self,
        *,
        interval: int = 1,
        by_epoch: bool = True,
        source: str = 'auto',
        initial: bool = False,
        file: str,
    ) -> None:
        if interval < 1:
            raise ValueError(f'{type(self).__name__}: interval={interval} must be at least 1')
        self.interval = interval
        self.by_epoch = by_epoch
        self.source = source
        self.initial = initial
        self.file = file

    @abstractmethod
    def build(self, runner: Runner, backbone: nn.Module) -> None:
        """Build data and metrics and check them; random states are given back."""

    @abstractmethod
    def measure(self, backbone: nn.Module, preprocessor: nn.Module) -> dict[str, float]:
        """Numbers by name; every process of the run calls it, random states are given back."""

    def shown(self, name: str, value: float) -> str:
        """How the log shows a number; an empty text leaves it to the file."""
        return f'{name}: {value:.2f}' if isinstance(value, float) else f'{name}: {value}'

    def before_train(self, runner: Runner) -> None:
        """Build data and metrics, so that a wrong path ends the run now and not hours later."""
        if self.by_epoch and isinstance(runner.train_loop, IterBasedTrainLoop):
            raise ValueError(
                f'{type(self).__name__}: by_epoch=True in a loop that counts iterations: set '
                'by_epoch=False and give the interval in iterations'
            )
        backbone = self._backbone(runner)
        with preserve_rng_state(), missing_left_out():
            self.build(runner, backbone)
        self.path = Path(runner.work_dir) / self.file
        if is_main_process():
            _keep_until(self.path, runner.iter)
        if self.initial and runner.iter == 0:
            self._run(runner, epoch=0, iteration=0)

    def after_train_epoch(self, runner: Runner) -> None:
        """Measure at the end of every ``interval``-th and of the last epoch."""
        if self.by_epoch and (
            self.every_n_epochs(runner, self.interval) or self.is_last_train_epoch(runner)
        ):
            self._run(runner, epoch=runner.epoch + 1, iteration=runner.iter)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Measure at the end of every ``interval``-th and of the last iteration."""
        if not self.by_epoch and (
            self.every_n_train_iters(runner, self.interval) or self.is_last_train_iter(runner)
        ):
            self._run(runner, epoch=runner.epoch, iteration=runner.iter + 1)

    def from_config(self, value: Any, runner: Runner, name: str, base: str) -> Any:
        """``value``, or where it is None the entry ``name`` of the run's config.

        Read there and not passed in, a config that inherits another one can move the data with
        one entry: a copy within ``custom_hooks`` would keep the old one.

        Raises:
            ValueError: If the config has no such entry; the sentence names ``base``, which has.
        """
        value = runner.cfg.get(name) if value is None else value
        if value is None:
            raise ValueError(
                f'{type(self).__name__}: the config has no {name}: inherit '
                f'configs/_base_/datasets/{base} or give the hook its own'
            )
        return value

    def _backbone(self, runner: Runner) -> nn.Module:
        model = unwrap_model(runner.model)
        if not hasattr(model, 'get_backbone'):
            raise ValueError(
                f'{type(self).__name__}: {type(model).__name__} has no method get_backbone(which) '
                f'that returns its {self.source} backbone'
            )
        if self.source == 'auto':
            self.source = getattr(model, 'evaluated_backbone', 'teacher')
        return model.get_backbone(self.source)

    def _run(self, runner: Runner, *, epoch: int, iteration: int) -> None:
        begin = time.perf_counter()
        with paused(runner), preserve_rng_state():
            metrics = self.measure(
                self._backbone(runner), unwrap_model(runner.model).data_preprocessor
            )
        self._report(runner, metrics, epoch, iteration, time.perf_counter() - begin)

    def _report(
        self,
        runner: Runner,
        metrics: Mapping[str, float],
        epoch: int,
        iteration: int,
        seconds: float,
    ) -> None:
        for name, value in metrics.items():
            runner.message_hub.update_scalar(name, value)
        runner.visualizer.add_scalars(dict(metrics), step=iteration)
        numbers = '  '.join(filter(None, (self.shown(*entry) for entry in metrics.items())))
        runner.logger.info(
            f'{self.title} ({self.source}, epoch {epoch}, iteration {iteration}, {seconds:.1f} s): '
            f'{numbers}'
        )
        if is_main_process():
            record = dict(epoch=epoch, iter=iteration, seconds=round(seconds, 2), **metrics)
            with self.path.open('a') as file:
                file.write(json.dumps(record) + '\n')


def _keep_until(path: Path, iteration: int) -> None:
    """Drop the results beyond ``iteration`` of an earlier run that is resumed, or started anew."""
    if not path.exists():
        return
    lines = path.read_text().splitlines(keepends=True) if iteration else []
    # A line without its end was being written when the run was killed.
    whole = [line for line in lines if line.endswith('\n')]
    atomic_text(''.join(line for line in whole if json.loads(line)['iter'] <= iteration), path)

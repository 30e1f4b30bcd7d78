"""O-KNN as a curve beside the loss: the backbone measured during its own pre-training."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import IterBasedTrainLoop, Runner
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader

from mmdssl.engine.checkpointing import atomic_text
from mmdssl.evaluation.guards import preserve_rng_state
from mmdssl.models.feature_extractor import FeatureExtractor
from mmdssl.registry import HOOKS

__all__ = ['ObjectKNNHook']


@HOOKS.register_module()
class ObjectKNNHook(Hook):
    """Evaluate ``model.get_backbone(source)`` every ``interval`` epochs or iterations.

    One pass over the data serves all metrics. The numbers go to the visualizer and the message
    hub (step: iterations done), to one line of the log and to one line of ``work_dir/<file>``:
    ``{"epoch": ..., "iter": ..., "seconds": ..., "oknn/top1": ..., ...}``. A resumed run goes on
    with that file, a fresh one starts it anew.

    The run itself is left as it was: training modes, random states and parameters; an evaluated
    run and one that is not are bit-equal.

    Args:
        dataloader: Config of the loader of tagged images, unshuffled; ``None`` for
            ``object_knn_dataloader`` of the run's config.
        evaluator: Config(s) of the metrics, e.g. two :class:`ObjectKNN`; ``None`` for
            ``object_knn_evaluator`` of the run's config.
        interval: Epochs, or iterations, between evaluations; the end of the run is evaluated too.
        by_epoch: Count epochs (of an epoch-based loop) or iterations.
        source: 'teacher' or 'student', as the host's ``get_backbone`` names them, or 'auto': the
            one that the host says is kept.
        initial: Evaluate the untrained backbone as well.
        roi_size: See :class:`FeatureExtractor`.
        upsample_c4: See :class:`FeatureExtractor`.
        file: Name of the file of results in the working directory.

    Raises:
        ValueError: If the interval is not positive; at the start of the run, if the loop knows no
            epochs, the model offers no backbone or there is no loader or evaluator.
    """

    # After the teacher's update (an iteration's end is one step) and before the checkpoint.
    priority = 'LOW'

    def __init__(
        self,
        *,
        dataloader: dict | DataLoader | None = None,
        evaluator: dict | Sequence[dict] | Evaluator | None = None,
        interval: int = 1,
        by_epoch: bool = True,
        source: str = 'auto',
        initial: bool = False,
        roi_size: int = 7,
        upsample_c4: bool = True,
        file: str = 'object_knn.json',
    ) -> None:
        if interval < 1:
            raise ValueError(f'ObjectKNNHook: interval={interval} must be at least 1')
        self.dataloader: Any = dataloader  # a config until the run starts, like the evaluator
        self.evaluator: Any = evaluator
        self.interval = interval
        self.by_epoch = by_epoch
        self.source = source
        self.initial = initial
        self.extractor_settings: dict[str, Any] = dict(roi_size=roi_size, upsample_c4=upsample_c4)
        self.file = file

    def before_train(self, runner: Runner) -> None:
        """Build data and metrics, so that a wrong path ends the run now and not hours later."""
        if self.by_epoch and isinstance(runner.train_loop, IterBasedTrainLoop):
            raise ValueError(
                'ObjectKNNHook: by_epoch=True in a loop that counts iterations: set '
                'by_epoch=False and give the interval in iterations'
            )
        self._backbone(runner)
        with preserve_rng_state():
            self.dataloader = runner.build_dataloader(
                _or_from_config(self.dataloader, runner, 'object_knn_dataloader'),
                seed=runner.seed,
            )
        self.evaluator = runner.build_evaluator(
            _or_from_config(self.evaluator, runner, 'object_knn_evaluator')
        )
        self.evaluator.dataset_meta = self.dataloader.dataset.metainfo
        self.path = Path(runner.work_dir) / self.file
        if is_main_process():
            _keep_until(self.path, runner.iter)
        if self.initial and runner.iter == 0:
            self._evaluate(runner, epoch=0, iteration=0)

    def after_train_epoch(self, runner: Runner) -> None:
        """Evaluate at the end of every ``interval``-th and of the last epoch."""
        if self.by_epoch and (
            self.every_n_epochs(runner, self.interval) or self.is_last_train_epoch(runner)
        ):
            self._evaluate(runner, epoch=runner.epoch + 1, iteration=runner.iter)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Evaluate at the end of every ``interval``-th and of the last iteration."""
        if not self.by_epoch and (
            self.every_n_train_iters(runner, self.interval) or self.is_last_train_iter(runner)
        ):
            self._evaluate(runner, epoch=runner.epoch, iteration=runner.iter + 1)

    def _backbone(self, runner: Runner) -> Any:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if not hasattr(model, 'get_backbone'):
            raise ValueError(
                f'ObjectKNNHook: {type(model).__name__} has no method get_backbone(which) that '
                f'returns its {self.source} backbone'
            )
        if self.source == 'auto':
            self.source = getattr(model, 'evaluated_backbone', 'teacher')
        return model.get_backbone(self.source)

    def _evaluate(self, runner: Runner, *, epoch: int, iteration: int) -> None:
        begin = time.perf_counter()
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        extractor = FeatureExtractor(
            backbone=self._backbone(runner),
            data_preprocessor=model.data_preprocessor,
            **self.extractor_settings,
        )
        console = Console(stderr=True)
        quiet = not (is_main_process() and console.is_terminal)
        with preserve_rng_state():
            for batch in track(
                self.dataloader, 'object features', console=console, disable=quiet, transient=True
            ):
                self.evaluator.process(extractor.test_step(batch), batch)
            metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
        self._report(runner, metrics, epoch, iteration, time.perf_counter() - begin)

    def _report(
        self, runner: Runner, metrics: dict, epoch: int, iteration: int, seconds: float
    ) -> None:
        for name, value in metrics.items():
            runner.message_hub.update_scalar(name, value)
        runner.visualizer.add_scalars(metrics, step=iteration)
        numbers = '  '.join(
            f'{name}: {value:.2f}' if isinstance(value, float) else f'{name}: {value}'
            for name, value in metrics.items()
        )
        runner.logger.info(
            f'Objects ({self.source}, epoch {epoch}, iteration {iteration}, {seconds:.1f} s): '
            f'{numbers}'
        )
        if is_main_process():
            record = dict(epoch=epoch, iter=iteration, seconds=round(seconds, 2), **metrics)
            with self.path.open('a') as file:
                file.write(json.dumps(record) + '\n')


def _or_from_config(value: Any, runner: Runner, name: str) -> Any:
    """``value``, or where it is None the entry ``name`` of the run's config.

    Read there and not passed in, a config that inherits another one can move the data with one
    entry: a copy within ``custom_hooks`` would keep the old one.
    """
    value = runner.cfg.get(name) if value is None else value
    if value is None:
        raise ValueError(
            f'ObjectKNNHook: the config has no {name}: inherit '
            'configs/_base_/datasets/coco_object_knn.py or give the hook its own'
        )
    return value


def _keep_until(path: Path, iteration: int) -> None:
    """Drop the results beyond ``iteration`` of an earlier run that is resumed, or started anew."""
    if not path.exists():
        return
    lines = path.read_text().splitlines(keepends=True) if iteration else []
    # A line without its end was being written when the run was killed.
    whole = [line for line in lines if line.endswith('\n')]
    atomic_text(''.join(line for line in whole if json.loads(line)['iter'] <= iteration), path)

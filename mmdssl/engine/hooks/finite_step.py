"""Steps that are not finite leave no trace, are told of, and end the run where they go on."""

import json
from pathlib import Path
from typing import Any

from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from mmdssl.engine.finite.guard import StepGuard
from mmdssl.engine.finite.late import LateValues
from mmdssl.engine.finite.records import RandomMoment, StepRecord, write_dump
from mmdssl.engine.finite.stopping import TrainingNotFinite
from mmdssl.registry import HOOKS

__all__ = ['FiniteStepHook']

#: Entry of the message hub: steps taken back since the run began.
TAKEN_BACK_KEY = 'steps_taken_back'
_SHOWN = 3  # names in a line of the log


@HOOKS.register_module()
class FiniteStepHook(Hook):
    """Commits a step only if it is finite on all processes, see :class:`StepGuard`.

    A step that is not finite (loss, a gradient, or what the forward pass wrote) is taken back:
    weights, moments, teacher, queues, centres, statistics of BatchNorm are what they were before
    it. It is logged, counted (``steps_taken_back`` of the message hub) and written into
    ``work_dir/not_finite/steps.jsonl`` with the paths of its images. After ``patience`` of them in
    a row the run ends with exit code 1 and one sentence; the last checkpoint holds the state
    before them, and ``work_dir/not_finite/iter_N_rankR.pth`` what reproduces the step
    (:func:`~mmdssl.engine.finite.records.replay`), with norms by module in the ``.json`` beside
    it.

    On a GPU nothing of this waits for the device: the numbers are read two steps later.

    Under float16 a dynamic loss scaler makes gradients overflow now and then to find its scale.
    Such steps are taken back and counted, but end no run while the scale is above 1.

    Args:
        patience: Steps in a row that end the run; None: it never ends by itself.

    Raises:
        ValueError: If ``patience`` is below 1.
        TrainingNotFinite: After ``patience`` steps in a row.
    """

    # Before the hooks that read or save what a step has left.
    priority = 'VERY_HIGH'

    def __init__(self, *, patience: int | None = 3) -> None:
        if patience is not None and patience < 1:
            raise ValueError(f'FiniteStepHook: patience={patience} must be at least 1, or None')
        self.patience = patience
        self.guard: StepGuard | None = None
        self.taken_back = 0
        self.in_a_row = 0
        self._record: StepRecord | None = None
        self._late = LateValues()

    def before_train(self, runner: Runner) -> None:
        """Stand in front of the optimizer."""
        self.guard, self.in_a_row, self._late = None, 0, LateValues()
        self.taken_back = runner.message_hub.get_info(TAKEN_BACK_KEY) or 0  # of a resumed run
        if not isinstance(runner.optim_wrapper, OptimWrapper):
            runner.logger.info('FiniteStepHook: several optimizers, their steps are not watched')
            return
        self.guard = StepGuard(model=runner.model, wrapper=runner.optim_wrapper)
        self.guard.attach()
        self._folder = Path(runner.work_dir) / 'not_finite'

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Keep what a step may have to be taken back to, and what would reproduce it."""
        if self.guard is None:
            return
        if self._record is None or self.guard.window_begins:
            self._record = StepRecord(runner.iter, runner.epoch, RandomMoment())
        self._record.iteration = runner.iter
        self._record.batches.append(data_batch)
        self.guard.begin()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Read what is known by now."""
        if self.guard is None or self._record is None or not self.guard.window_begins:
            return
        self._record.gradient_names = self.guard.gradient_names
        self._record.gradient_norms = self.guard.gradient_norms
        self._late.put(self.guard.values, self._record)
        self._record = None
        self._read(runner)

    def after_train(self, runner: Runner) -> None:
        """Read the rest and step aside."""
        if self.guard is None:
            return
        self._read(runner, everything=True)
        self.guard.detach()
        if self.taken_back:
            runner.logger.warning(
                f'{self.taken_back} steps of this run were not finite and left no trace; see '
                f'{self._folder / "steps.jsonl"}'
            )

    def _read(self, runner: Runner, *, everything: bool = False) -> None:
        for numbers, record in self._late.due(all_of_them=everything):
            values = dict(zip(StepGuard.NAMES, numbers, strict=True))
            if not values['taken_back']:
                self.in_a_row = 0
                continue
            self.taken_back += 1
            runner.message_hub.update_info(TAKEN_BACK_KEY, self.taken_back)
            if _only_the_scale(runner.optim_wrapper, values):
                runner.logger.info(
                    f'iteration {record.iteration + 1}: gradients overflowed at the loss scale '
                    f'{values["scale"]:g}; the step is taken back and the scale lowered'
                )
                continue
            self.in_a_row += 1
            self._tell(runner, record, values)
            if self.patience is not None and self.in_a_row >= self.patience:
                self._end(runner, record, values)

    def _tell(self, runner: Runner, record: StepRecord, values: dict[str, float]) -> None:
        """One line of the log, one of the file; the images of the processes it began in."""
        # Gradients are averaged, and much of what is written: a loss is nobody else's.
        own = values['own_loss_not_finite'], values['own_written_not_finite']
        everywhere = all_gather_object((own, record.images()))
        worst = max(own for own, _ in everywhere)
        images = [name for own, names in everywhere if own == worst for name in names]
        reason = _reason(values, record)
        if not is_main_process():
            return
        more = f' and {len(images) - _SHOWN} more' if len(images) > _SHOWN else ''
        runner.logger.warning(
            f'iteration {record.iteration + 1}: not finite ({reason}); the step is taken back '
            f'({self.in_a_row} in a row, {self.taken_back} in this run). Images: '
            f'{", ".join(images[:_SHOWN]) or "unknown"}{more}'
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        entry = dict(iteration=record.iteration + 1, reason=reason, images=images)
        with (self._folder / 'steps.jsonl').open('a', encoding='utf-8') as file:
            file.write(json.dumps(entry) + '\n')

    def _end(self, runner: Runner, record: StepRecord, values: dict[str, float]) -> None:
        path = self._folder / f'iter_{record.iteration + 1}_rank{runner.rank}.pth'
        sentence = (
            f'{self.in_a_row} steps in a row were not finite, the last in iteration '
            f'{record.iteration + 1} ({_reason(values, record)}); none of them left a trace. '
            f'{path} reproduces it, {path.with_suffix(".json").name} has its images and norms: '
            'lower the learning rate, lengthen the warm-up, use bfloat16 instead of float16, or '
            'remove a damaged image, and continue with --resume'
        )
        write_dump(record, runner.model, path=path, sentence=sentence, values=values)
        raise TrainingNotFinite(sentence)


def _only_the_scale(wrapper: Any, values: dict[str, float]) -> bool:
    """Whether a loss scaler that can still go lower explains the step."""
    scaler = getattr(wrapper, 'loss_scaler', None)
    moving = scaler is not None and scaler.is_enabled() and wrapper._scale_update_param is None
    return (
        moving
        and values['scale'] > 1
        and not values['loss_not_finite']
        and not values['written_not_finite']
    )


def _reason(values: dict[str, float], record: StepRecord) -> str:
    parts = []
    if values['loss_not_finite']:
        here = '' if values['own_loss_not_finite'] else ', elsewhere not finite'
        parts.append(f'loss {values["loss"]:g}{here}')
    if values['written_not_finite']:
        parts.append('buffers that the forward pass wrote')
    if values['gradient_not_finite']:
        bad = [name for name, norm in record.gradients().items() if not norm < float('inf')]
        more = f' and {len(bad) - _SHOWN} more modules' if len(bad) > _SHOWN else ''
        where = f' of {", ".join(bad[:_SHOWN])}{more}' if bad else ''
        parts.append(f'gradients{where}')
    return ', '.join(parts)

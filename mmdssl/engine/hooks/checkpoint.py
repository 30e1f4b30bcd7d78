"""Checkpoints of a run: whole or absent, plain, and there also when the run is stopped."""

import contextlib
from collections import deque
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mmdssl.core.agreement import of_main_process
from mmdssl.core.checkpoint_format import pack, unpack
from mmdssl.core.checkpointing import EVALUATED_KEY, atomic_file, atomic_text
from mmdssl.core.clock import EPOCH_LENGTH_KEY
from mmdssl.core.newest import INTERRUPTED, NOTE, find_checkpoint
from mmdssl.core.safe_loading import install_safe_loading
from mmdssl.core.weight_facts import facts_of
from mmdssl.engine.finite.stopping import TrainingNotFinite, at_whole_step, refuse_not_finite
from mmdssl.engine.hooks.step_timer import paused
from mmdssl.engine.interruption import StopSignals, TrainingStopped
from mmdssl.engine.plain_errors import plain_sentence
from mmdssl.engine.resuming import fit_to_run, is_epoch_based
from mmdssl.engine.run_folder import clear_leftovers, delete_due, held_folder
from mmdssl.engine.unwrap import unwrap_model
from mmdssl.engine.weight_facts import bind_to_model, stated_facts
from mmdssl.models.utils.collectives import all_reduce
from mmdssl.registry import HOOKS

__all__ = ['INTERRUPTED', 'SafeCheckpointHook', 'train_and_keep']

#: Entry of the message hub: numbers of the checkpoints that the newest one replaces.
_SURPLUS = 'surplus_ckpt_ids'


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook`` that never leaves a run without a good checkpoint.

    * A file is written under a temporary name and renamed when it is whole; older
      ones are deleted after that. ``last_checkpoint`` names the newest.
    * A run killed between writing and deleting leaves no file too many: the new
      checkpoint says which ones were to go, and resuming from it deletes them.
    * The work folder is held against other runs (:func:`held_folder`). Resuming
      without a file takes the newest checkpoint that is whole.
    * Files hold plain data only and no paths of the machine. Loading, in the whole
      process, refuses files that hold more, instead of unpickling them.
    * SIGINT or SIGTERM ends the run after the current iteration (of all
      processes) and leaves :data:`INTERRUPTED`; so does a failure, if the run goes
      through :func:`train_and_keep`. Resuming from it goes on within the epoch.
    * Under gradient accumulation a checkpoint and a stop wait for the end of the step.
    * A state that holds NaN or Inf is not written; the run ends with a sentence.
    * A checkpoint of a run with another number of iterations per epoch (more or
      fewer processes) resumes at the same fraction of the run.

    Args:
        interval: Epochs, or iterations, between checkpoints; -1 for the last only.
        by_epoch: Unit of ``interval``.
        max_keep_ckpts: How many to keep; -1 for all.
        save_last: Save at the end whatever the interval.
        save_optimizer: Store what resuming needs of the optimizer.
        save_param_scheduler: Store the positions of the schedules.
        save_begin: Epoch or iteration of the first checkpoint.
        filename_tmpl: File name with ``{}`` for the number.

    Raises:
        ValueError: On resuming from a file that holds no run, or another model.
    """

    priority = 'VERY_LOW'
    last_ckpt: str | None

    def __init__(
        self,
        *,
        interval: int = 1,
        by_epoch: bool = True,
        max_keep_ckpts: int = -1,
        save_last: bool = True,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        save_begin: int = 0,
        filename_tmpl: str | None = None,
    ) -> None:
        super().__init__(
            interval=interval,
            by_epoch=by_epoch,
            max_keep_ckpts=max_keep_ckpts,
            save_last=save_last,
            save_optimizer=save_optimizer,
            save_param_scheduler=save_param_scheduler,
            save_begin=save_begin,
            filename_tmpl=filename_tmpl,
        )
        #: Set by :func:`train_and_keep`, which saves after an exception.
        self.guarded = False
        self._between_epochs = False
        self._signals = StopSignals(may_raise=self._may_raise)
        self._finished = 0  # iterations whose effects are complete
        self._saved = 0  # iterations in the newest checkpoint
        self._distributed = False
        self.started = False
        self._left = False  # a stopped run has its checkpoint
        self._reported: set[str] = set()
        self._hold = contextlib.ExitStack()
        self._postponed: int | None = None  # number of a checkpoint that waits for a whole step

    # ---- reading

    def before_run(self, runner: Runner) -> None:
        """Before anything is loaded: no unsafe or broken file, and no second run in the folder."""
        install_safe_loading()
        self._hold.enter_context(held_folder(runner.work_dir))
        if runner._resume and runner._load_from is None:
            found = of_main_process(
                lambda: find_checkpoint(runner.work_dir, 'auto', self.filename_tmpl)
            )
            runner._resume, runner._load_from = found is not None, found and str(found)

    def after_run(self, runner: Runner) -> None:
        """Let others into the folder."""
        self._hold.close()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Bring the file into the form mmengine resumes from, and check that it fits."""
        unpack(checkpoint)
        bind_to_model(unwrap_model(runner.model), facts_of(checkpoint))
        if runner._resume:
            fit_to_run(checkpoint, runner)

    # ---- writing

    def before_train(self, runner: Runner) -> None:
        """Find the folder, tell the epoch length, and listen for signals."""
        self.out_dir = runner.work_dir
        kept = runner.message_hub.get_info('keep_ckpt_ids') or []  # of a resumed run
        self.keep_ckpt_ids = deque(kept)
        runner.message_hub.update_info(EPOCH_LENGTH_KEY, len(runner.train_dataloader))
        self._finished = self._saved = runner.iter
        self._distributed = runner.distributed
        self.started, self._left = True, False
        if is_main_process():
            clear_leftovers(self.out_dir)
            due = runner.message_hub.get_info(_SURPLUS) or []
            if runner._resume:
                delete_due(self.out_dir, map(self.filename_tmpl.format, due), runner._load_from)
        self._signals.listen()

    def before_train_epoch(self, runner: Runner) -> None:
        """From here on, only stop where an iteration is complete."""
        self._between_epochs = False

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Save if it is time; stop if asked to; both where a step is whole."""
        whole = at_whole_step(runner)
        self._finished = runner.iter + 1 if whole else self._finished
        super().after_train_iter(runner, batch_idx, data_batch, outputs or {})
        # Epoch-wise schedules step, and epoch-wise evaluations run, only after this hook.
        ends = is_epoch_based(runner) and self._finished % len(runner.train_dataloader) == 0
        if whole:
            self._save_postponed(runner)
        if whole and not ends:
            self._stop_if_asked(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Save if it is time; stop if asked to."""
        super().after_train_epoch(runner)
        if at_whole_step(runner):
            self._stop_if_asked(runner)
            self._between_epochs = True

    def after_train(self, runner: Runner) -> None:
        """Nothing left to interrupt."""
        self.release()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Make the checkpoint plain; this hook comes after those that add to it."""
        meta = checkpoint['meta']
        meta[EPOCH_LENGTH_KEY] = len(runner.train_dataloader)
        model = unwrap_model(runner.model)
        if hasattr(model, 'evaluated_backbone'):
            meta[EVALUATED_KEY] = model.evaluated_backbone
        meta.update(stated_facts(model))
        dropped = set(pack(checkpoint)) - self._reported
        if dropped:
            self._reported |= dropped
            runner.logger.warning(
                f'Not stored in checkpoints, as not plain data: {sorted(dropped)}'
            )

    def _save_checkpoint(self, runner: Runner) -> None:
        """Save now, or at the end of the step that is being accumulated."""
        if at_whole_step(runner):
            super()._save_checkpoint(runner)
        else:
            self._postponed = (runner.epoch if self.by_epoch else runner.iter) + 1

    def _save_postponed(self, runner: Runner) -> None:
        """The checkpoint that had to wait for this step, under the number it was due with."""
        if self._postponed is not None and self._saved < self._finished:
            meta = dict(epoch=runner.epoch, iter=self._finished)
            self._save_checkpoint_with_step(runner, self._postponed, meta)
        self._postponed = None

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Write the new checkpoint, then delete those that are too many."""
        ids = [*(old for old in self.keep_ckpt_ids if old != step), step]
        limited = self.max_keep_ckpts > 0
        surplus, keep = ids[: -self.max_keep_ckpts], ids[-self.max_keep_ckpts :]
        if limited:
            runner.message_hub.update_info('keep_ckpt_ids', keep)
            runner.message_hub.update_info(_SURPLUS, surplus)
        self._write(runner, self.filename_tmpl.format(step), meta)
        if not limited:
            return
        self.keep_ckpt_ids = deque(keep)
        if is_main_process():
            # What a stopped run has left is older than the checkpoint just written, too.
            for name in (*map(self.filename_tmpl.format, surplus), INTERRUPTED):
                (Path(self.out_dir) / name).unlink(missing_ok=True)

    def _write(self, runner: Runner, name: str, meta: dict, *, gather: bool = True) -> None:
        """One checkpoint file, whole or not at all; every process agrees first if ``gather``."""
        refuse_not_finite(runner, meta['iter'], last=self.last_ckpt, agree=gather)
        target = Path(self.out_dir) / name
        runner.message_hub.update_info('last_ckpt', str(target))
        if is_main_process():
            with paused(runner), atomic_file(target) as temporary:
                runner.save_checkpoint(
                    str(temporary.parent),
                    temporary.name,
                    save_optimizer=self.save_optimizer,
                    save_param_scheduler=self.save_param_scheduler,
                    meta=meta,
                )
            atomic_text(str(target), Path(runner.work_dir) / NOTE)
        self.last_ckpt = str(target)
        self._saved = meta['iter']

    # ---- stopping

    def release(self) -> None:
        """Stop listening for signals."""
        self._signals.release()

    def _may_raise(self) -> bool:
        return self.guarded and self._between_epochs and not self._distributed

    def _stop_if_asked(self, runner: Runner) -> None:
        asked = self._signals.received or 0
        if self._distributed:  # signals arrive at different iterations: agree on one
            wish = torch.tensor(asked)
            all_reduce(wish, op='max')
            asked = int(wish)
        if asked:
            stop = TrainingStopped(asked)
            self._leave_checkpoint(runner, reason=stop.signal_name, exact=True, gather=True)
            self.release()
            raise stop

    def after_failure(self, runner: Runner, error: BaseException) -> None:
        """Save what can be saved after ``error`` ended the training; never raises itself."""
        if self._left or not self.started:
            return
        try:
            if hasattr(runner.optim_wrapper, 'step_guard'):
                runner.optim_wrapper.step_guard.roll_back()  # what an unfinished step has written
            stop = error if isinstance(error, TrainingStopped) else None
            reason = stop.signal_name if stop else type(error).__name__
            together = isinstance(error, TrainingNotFinite)  # not by one process alone
            self._leave_checkpoint(runner, reason=reason, exact=bool(stop), gather=together)
        except TrainingNotFinite as refusal:
            if is_main_process():
                runner.logger.error(refusal.sentence)
        except Exception as second:  # the error that ended the training matters more than this one
            sentence = plain_sentence(second)
            if sentence is None:
                runner.logger.exception(f'Nor could {INTERRUPTED} be saved:')
            else:
                runner.logger.error(f'Nor could {INTERRUPTED} be saved: {sentence}')

    def _leave_checkpoint(self, runner: Runner, *, reason: str, exact: bool, gather: bool) -> None:
        """Make sure that a checkpoint holds the last complete iteration, and say which."""
        self._left = True
        done, note = self._finished, ''
        if done > self._saved:
            epoch = done // len(runner.train_dataloader) if is_epoch_based(runner) else runner.epoch
            meta = dict(epoch=epoch, iter=done, interrupted=dict(reason=reason, exact=exact))
            self._write(runner, INTERRUPTED, meta, gather=gather)
            if not exact:
                note = f' (random draws may belong to iteration {done + 1} already)'
        if not is_main_process():
            return
        if self.last_ckpt is None:
            runner.logger.warning(f'{reason}: no iteration was completed, so nothing is saved')
            return
        runner.logger.warning(
            f'{reason}: stopped after iteration {done} of {runner.max_iters}, which is in '
            f'{self.last_ckpt}{note}. Continue with --resume (mmdssl pretrain: resume=true)'
        )


def train_and_keep(runner: Runner) -> None:
    """``runner.train()`` that leaves a checkpoint also when it fails.

    Args:
        runner: A runner; without a :class:`SafeCheckpointHook` this is plain training.

    Raises:
        BaseException: What ended the training; :class:`TrainingStopped` after a signal.
    """
    hooks = [hook for hook in runner.hooks if isinstance(hook, SafeCheckpointHook)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(held_folder(runner.work_dir))
        for hook in hooks:
            hook.guarded = True
            stack.callback(hook.release)
        try:
            runner.train()
        except BaseException as error:
            for hook in hooks:
                hook.after_failure(runner, error)
            raise

"""Losses reach the log when they are known, not when they are asked for.

mmengine reads every loss of every iteration on the host, which waits for the device each time.
Here they are copied without waiting and handed on two iterations later (:class:`LateValues`), or
before that where somebody reads them: the logger every so many iterations, or a checkpoint.
"""

from typing import Any

import torch
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.runner import Runner
from torch import Tensor

from mmdssl.engine.finite.late import LateValues
from mmdssl.registry import HOOKS

__all__ = ['DeferredRuntimeInfoHook']


@HOOKS.register_module()
class DeferredRuntimeInfoHook(RuntimeInfoHook):
    """mmengine's ``RuntimeInfoHook`` without a wait for the GPU in each iteration.

    The message hub receives the same numbers in the same order. Between two reports of the
    logger its newest values may be two iterations old; on a CPU they never are.
    """

    def __init__(self) -> None:
        super().__init__()
        self._late = LateValues()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Send the outputs of this iteration on their way; hand on what has arrived."""
        if not outputs or not all(isinstance(v, Tensor) and v.is_cuda for v in outputs.values()):
            self._hand_on(runner, wait=True)
            super().after_train_iter(runner, batch_idx, data_batch, outputs)
            return
        values = torch.stack([value.detach().float().reshape(()) for value in outputs.values()])
        self._late.put(values, tuple(outputs))
        self._hand_on(runner, wait=self._is_read(runner, batch_idx))

    def after_train_epoch(self, runner: Runner) -> None:
        """Nothing is left over for the next epoch."""
        self._hand_on(runner, wait=True)

    def after_train(self, runner: Runner) -> None:
        """Nothing is left over."""
        self._hand_on(runner, wait=True)
        super().after_train(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """A checkpoint holds the history of all iterations."""
        self._hand_on(runner, wait=True)

    def _hand_on(self, runner: Runner, *, wait: bool) -> None:
        for values, names in self._late.due(all_of_them=wait):
            for name, value in zip(names, values, strict=True):
                runner.message_hub.update_scalar(f'train/{name}', value)

    def _is_read(self, runner: Runner, batch_idx: int) -> bool:
        """Whether the logger reports after this iteration."""
        return any(
            self.every_n_inner_iters(batch_idx, hook.interval)
            or self.end_of_epoch(runner.train_dataloader, batch_idx)
            for hook in runner.hooks
            if isinstance(hook, LoggerHook)
        )

"""Where a run may be saved or stopped, and how one ends whose values are not finite."""

from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mmdssl.engine.finite.inspection import not_finite_entries
from mmdssl.models.utils.collectives import all_reduce

__all__ = ['TrainingNotFinite', 'at_whole_step', 'refuse_not_finite']


class TrainingNotFinite(SystemExit):
    """Training ended because of values that are not finite; the exit code is 1.

    All processes raise it in the same iteration; the main one prints the sentence.

    Args:
        sentence: What happened, where, and what to do.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(f'error: {sentence}' if is_main_process() else 1)
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


def at_whole_step(runner: Runner) -> bool:
    """Whether no gradients are being gathered for a step to come."""
    wrapper: Any = runner.optim_wrapper
    return wrapper.should_update() if hasattr(wrapper, 'should_update') else True


def refuse_not_finite(runner: Runner, iteration: int, *, last: str | None, agree: bool) -> None:
    """Instead of writing NaN or Inf into a checkpoint: end the run.

    Args:
        runner: The run.
        iteration: The checkpoint's.
        last: The run's last checkpoint.
        agree: Every process calls this, and all raise if one has to.

    Raises:
        TrainingNotFinite: If weights, buffers or the optimizer's state are not finite.
    """
    found = not_finite_entries(runner.model, runner.optim_wrapper)
    somewhere = torch.tensor(len(found))
    if agree:
        all_reduce(somewhere, op='max')
    if int(somewhere):
        raise TrainingNotFinite(
            f'after iteration {iteration} the state is not finite ('
            f'{", ".join(found[:3]) or "in another process"}) and is not saved; the last good '
            f'checkpoint is {last or "none"}: continue from it, with a lower learning rate or '
            'bfloat16 instead of float16'
        )

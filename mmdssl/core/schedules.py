"""Schedules: functions of the step, and the parameter scheduler that uses them.

Two habits of the official code this project compares with are kept. A warm-up
*includes* both of its ends, and the cosine that follows starts at the peak once
more, so the peak occurs twice. And the cosine over n steps is taken at i/n for
i < n, so no schedule reaches its end value exactly.
"""

import math
from collections.abc import Sequence
from typing import Any

from mmengine.optim import _ParamScheduler
from mmengine.optim.scheduler.param_scheduler import INF, OptimizerType

from mmdssl.registry import PARAM_SCHEDULERS

__all__ = ['WarmupCosine', 'cosine', 'cosine_momentum', 'teacher_temperature', 'warmup_cosine']


def cosine(step: int, total: int, *, start: float, end: float) -> float:
    """Half a cosine from ``start`` (at step 0) towards ``end`` (at step ``total``).

    Steps beyond ``total`` give ``end``.
    """
    progress = min(step / total, 1.0)
    return end + 0.5 * (start - end) * (1 + math.cos(math.pi * progress))


def _linspace(step: int, count: int, *, start: float, end: float) -> float:
    """Entry ``step`` of ``count`` evenly spaced values, both ends among them."""
    return start if count == 1 else start + (end - start) * step / (count - 1)


def warmup_cosine(
    step: int,
    total: int,
    *,
    peak: float,
    end: float,
    warmup: int = 0,
    warmup_start: float = 0.0,
    peak_twice: bool = True,
) -> float:
    """Linear warm-up to ``peak``, then half a cosine towards ``end``.

    Args:
        step: Step number, from 0.
        total: Steps of the whole schedule, warm-up included.
        peak: Value after the warm-up.
        end: Value the cosine tends to; may be above ``peak`` (weight decay).
        warmup: Steps of the warm-up.
        warmup_start: Value of step 0 if there is a warm-up.
        peak_twice: True: the last warm-up step has the peak value already (iBOT,
            DINO, Leopart). False: warm-up step i has i/warmup of the way (MAE,
            MaskAlign, SoCo).

    Returns:
        The value of that step.
    """
    if step >= warmup:
        return cosine(step - warmup, total - warmup, start=peak, end=end)
    count = warmup if peak_twice else warmup + 1
    return _linspace(step, count, start=warmup_start, end=peak)


def cosine_momentum(step: int, total: int, *, start: float, end: float = 1.0) -> float:
    """EMA momentum m of ``t <- m t + (1 - m) s`` at iteration ``step`` of ``total``.

    iBOT: from 0.996 towards 1, taken with the number of the iteration whose
    optimizer step has just been made.
    """
    return cosine(step, total, start=start, end=end)


def teacher_temperature(
    epoch: int, *, start: float, end: float, warmup_epochs: int, start_epoch: int = 0
) -> float:
    """Teacher temperature of an epoch: linear from ``start`` to ``end``, then constant.

    Args:
        epoch: Epoch number, from 0.
        start: Temperature of the first warm-up epoch.
        end: Temperature of the last warm-up epoch, and of all later ones.
        warmup_epochs: Length of the warm-up, both ends included; 0 gives ``end``.
        start_epoch: Epochs before the warm-up, spent at ``start`` (iBOT's patch
            temperature waits for ``pred_start_epoch``).
    """
    since = epoch - start_epoch
    if since >= warmup_epochs:
        return end
    return _linspace(max(since, 0), warmup_epochs, start=start, end=end)


@PARAM_SCHEDULERS.register_module()
class WarmupCosine(_ParamScheduler):
    """Sets a setting of the parameter groups by :func:`warmup_cosine`, every iteration.

    The peak of a group is the value the optimizer was built with. A group built
    with 0 stays at 0 (parameters without weight decay). The value is computed
    from the step number, not from the previous value, so that nothing drifts.

    In a config (the runner knows the iterations per epoch, the config need not)::

        param_scheduler = [
            dict(
                type='WarmupCosine',
                param_name='lr',
                warmup_epochs=10,
                eta_min=1e-6,
                convert_to_iter_based=True,
            ),
            dict(
                type='WarmupCosine',
                param_name='weight_decay',
                eta_min=0.4,
                convert_to_iter_based=True,
            ),
        ]

    With an iteration-based loop: ``by_epoch=False`` and ``warmup_iters`` instead
    of ``warmup_epochs`` and ``convert_to_iter_based``.

    Args:
        optimizer: Optimizer or wrapper; given by the runner.
        param_name: Name of the setting: ``'lr'`` or ``'weight_decay'``.
        eta_min: Value the cosine tends to; for a rising weight decay, its top.
        warmup_iters: Length of the warm-up in iterations. Under
            ``convert_to_iter_based`` give ``warmup_epochs`` instead; fractions
            are allowed.
        warmup_start: Value at the first warm-up iteration.
        warmup_ratio: The same as a share of the peak, in place of ``warmup_start``.
        peak_twice: See :func:`warmup_cosine`.
        begin: First iteration (epoch under ``convert_to_iter_based``).
        end: Iteration (epoch) after the last; given by the runner if left out.
        by_epoch: Must be False: the value changes every iteration.
            ``convert_to_iter_based`` sees to that.
        epoch_length: Iterations per epoch if known, to find the position again
            when a run is resumed on another number of GPUs.
        last_step: See mmengine.
        verbose: Print each value.

    Raises:
        ValueError: If the schedule counts in epochs, is not longer than its
            warm-up, or has two starts.
    """

    def __init__(
        self,
        optimizer: OptimizerType,
        *,
        param_name: str = 'lr',
        eta_min: float = 0.0,
        warmup_iters: int = 0,
        warmup_epochs: float | None = None,
        warmup_start: float = 0.0,
        warmup_ratio: float | None = None,
        peak_twice: bool = True,
        begin: int = 0,
        end: int = INF,
        by_epoch: bool = True,
        epoch_length: int | None = None,
        last_step: int = -1,
        verbose: bool = False,
    ) -> None:
        if by_epoch or warmup_epochs is not None:
            raise ValueError(
                'WarmupCosine changes its value every iteration; add convert_to_iter_based=True '
                'to count in epochs, or by_epoch=False to give warmup_iters, begin and end in '
                'iterations'
            )
        if end >= INF:
            raise ValueError('WarmupCosine needs its end: give end, or build it in a Runner')
        self.warmup = warmup_iters
        self.total = end - begin
        if self.total <= self.warmup:
            raise ValueError(
                f'WarmupCosine: {param_name} warms up for {self.warmup} of {self.total} '
                'iterations; make the warm-up shorter than the run'
            )
        if warmup_ratio is not None and warmup_start != 0:
            raise ValueError(
                f'WarmupCosine: the warm-up of {param_name} starts at warmup_start={warmup_start} '
                f'or at warmup_ratio={warmup_ratio} of the peak; give one of them'
            )
        self.eta_min = eta_min
        self.warmup_start = warmup_start
        self.warmup_ratio = warmup_ratio
        self.peak_twice = peak_twice
        self.epoch_length = epoch_length
        super().__init__(
            optimizer,
            param_name=param_name,
            begin=begin,
            end=end,
            last_step=last_step,
            by_epoch=False,
            verbose=verbose,
        )

    @classmethod
    def build_iter_from_epoch(
        cls,
        optimizer: OptimizerType,
        *,
        epoch_length: int,
        warmup_epochs: float = 0,
        begin: float = 0,
        end: float = INF,
        by_epoch: bool = True,
        **kwargs: Any,
    ) -> 'WarmupCosine':
        """What ``convert_to_iter_based=True`` calls: lengths in epochs become iterations."""
        if not by_epoch:
            raise ValueError('WarmupCosine: convert_to_iter_based=True needs by_epoch=True')
        return cls(
            optimizer,
            warmup_iters=round(warmup_epochs * epoch_length),
            begin=round(begin * epoch_length),
            end=INF if end >= INF else round(end * epoch_length),
            by_epoch=False,
            epoch_length=epoch_length,
            **kwargs,
        )

    def _get_value(self) -> Sequence[float]:
        return [self._group_value(base) for base in self.base_values]

    def _group_value(self, base: float) -> float:
        if base == 0:
            return 0.0
        start = self.warmup_start if self.warmup_ratio is None else self.warmup_ratio * base
        return warmup_cosine(
            self.last_step,
            self.total,
            peak=base,
            end=self.eta_min,
            warmup=self.warmup,
            warmup_start=start,
            peak_twice=self.peak_twice,
        )

    def state_dict(self) -> dict:
        """The position alone; the shape of the schedule belongs to the config."""
        return dict(step=self._global_step, epoch_length=self.epoch_length)

    def load_state_dict(self, state_dict: dict) -> None:
        """Go to the saved position, in epochs if their length has changed since.

        Shape and peak are those of the present config, so a run resumed with more
        epochs, or on another number of GPUs, continues on the new curve.
        """
        step, old_length = state_dict['step'], state_dict['epoch_length']
        if old_length and self.epoch_length:
            step = round(step / old_length * self.epoch_length)
        self._global_step = step
        self.last_step = min(max(step - self.begin, -1), self.total - 1)
        if self.last_step >= 0:
            for group, value in zip(self.optimizer.param_groups, self._get_value(), strict=True):
                group[self.param_name] = value
        self._last_value = [group[self.param_name] for group in self.optimizer.param_groups]

"""What every branch is: a further loss of a host, with its weight and its time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Float
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdssl.core.clock import TrainingClock
from mmdssl.core.schedules import cosine
from mmdssl.models.utils.batch_statistics import frozen_running_stats
from mmdssl.models.utils.setting_checks import SettingChecks

if TYPE_CHECKING:
    from mmdssl.models.dense_host import DenseHost

__all__ = ['Branch', 'BranchLoss', 'Sees', 'Targets', 'shown', 'student_map', 'teacher_map']

#: What a teacher is shown of a view: the student's pixels, or those before colours changed.
Sees = Literal['view', 'raw']


@dataclass(frozen=True)
class BranchLoss:
    """What a branch gives for one batch.

    Attributes:
        loss: Scalar, unweighted.
        weight: What it is multiplied by in this step.
        host_weight: What the host's own losses are multiplied by in this step.
    """

    loss: Float[Tensor, '']
    weight: float
    host_weight: float = 1.0


class Targets(dict[int, Any]):
    """What a host hands to its branches: teacher targets, and the feature maps it has anyway.

    As a dict: teacher targets by view, any nest of tensors with the batch first, in the form in
    which the host's own ``dense_loss`` takes them. A plain dict serves branches that read nothing
    else, as the de-coupling branch does.

    Args:
        targets: Those.
        student: Maps (N, C, h, w) of the student's backbone by view, of the host's own pass and
            with its gradient: after the last norm, before any head.
        teacher: The same of the teacher's backbone, which the host has run on whole views;
            without gradient.
    """

    def __init__(
        self,
        targets: Mapping[int, Any],
        *,
        student: Mapping[int, Float[Tensor, 'n c _ _']] | None = None,
        teacher: Mapping[int, Float[Tensor, 'n _ _ _']] | None = None,
    ) -> None:
        super().__init__(targets)
        self.student: dict[int, Tensor] = dict(student or {})
        self.teacher: dict[int, Tensor] = dict(teacher or {})


class Branch(BaseModule):
    """A loss beside those of a host, built from what the host computes or offers to compute.

    A branch of one's own sets :attr:`name` and writes :meth:`compute`; it knows no host by name.

    Args:
        weight: What the loss is multiplied by, at least 0. Nothing is computed in steps in which it
            is 0: the host's own losses are then those of a host without the branch, bit for bit.
        start: First iteration (epoch with ``by_epoch``) that counts, from 0.
        end: Iteration (epoch) before which the branch ends; None: never.
        by_epoch: Whether ``start`` and ``end`` are epochs.
        warmup: Iterations from ``start`` in which the weight rises along half a cosine, from 0 in
            the first to ``weight`` in the last of them.
        name: The loss appears as ``loss_<name>``, weights of the branch in checkpoints under
            ``branches.<name>``; None: the one of the class. Two branches of a host need two names.
        init_cfg: mmengine initialisation.

    Raises:
        ValueError: For a negative weight, start or warm-up, an end that is not after the start, or
            a name that cannot be part of a key.
    """

    name = 'branch'

    def __init__(
        self,
        *,
        weight: float = 1.0,
        start: int = 0,
        end: int | None = None,
        by_epoch: bool = False,
        warmup: int = 0,
        name: str | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        check = SettingChecks(type(self).__name__)
        check.at_least('weight', weight, 0)
        check.at_least('start', start, 0)
        check.at_least('warmup', warmup, 0)
        if end is not None and end <= start:
            raise ValueError(
                f'{check.owner}: end={end} is not after start={start}; give a later one, or None'
            )
        if name is not None and not name.isidentifier():
            raise ValueError(f'{check.owner}: name is {name!r}, give letters, digits and _')
        self.weight = weight
        self.start, self.end, self.by_epoch = start, end, by_epoch
        self.warmup = warmup
        self.name = name or type(self).name

    def check_host(self, host: 'DenseHost') -> None:
        """Refuse a host that cannot do what this configuration asks (at build time)."""

    def check_batch_size(self, batch_size: int) -> None:
        """Refuse a batch size per process that this configuration cannot use."""

    def bind(self, host: 'DenseHost') -> None:
        """Build what depends on the host's networks; once, when the host is built."""

    def followed(self) -> dict[str, nn.Module]:
        """Trained parts that the host's moving average follows as well, by name."""
        return {}

    def origin(self) -> str:
        """Where its own weights are from, for the line at the start of training."""
        return 'new'

    def observe(self, host: 'DenseHost', *, step: int) -> None:
        """Called in every training step before any network runs, also while the branch rests."""

    def compute(
        self, host: 'DenseHost', inputs: dict, targets: Any, *, step: int
    ) -> Float[Tensor, '']:
        """The unweighted loss of one batch, a scalar; arguments as for :meth:`forward`."""
        raise NotImplementedError(f'{type(self).__name__} has no compute()')

    def forward(
        self, host: 'DenseHost', inputs: dict, targets: dict[int, Any], *, step: int = 0
    ) -> BranchLoss:
        """The loss of one batch and its weight.

        Args:
            host: The method.
            inputs: The batch as the preprocessor gives it: ``inputs['views'][v]``
                (N, 3, H, W) normalised images, and what else the loader packed.
            targets: Teacher targets by view, see :class:`Targets`.
            step: Iteration, from 0; seeds random choices.
        """
        weight = self.weight_now(host)
        if weight == 0:
            return BranchLoss(self.nothing(inputs), 0.0)
        return BranchLoss(self.compute(host, inputs, targets, step=step), weight)

    def weight_now(self, host: 'DenseHost') -> float:
        """The weight in the step that the host's clock shows; 0 before the start and from the end.

        The clock is asked only by a branch that does not run from start to end alike.
        """
        if self.start == 0 and self.end is None and self.warmup == 0:
            return self.weight
        clock: TrainingClock = host.clock
        unit = clock.iterations_per_epoch if self.by_epoch else 1
        now = clock.iteration
        since = now - self.start * unit
        if since < 0 or (self.end is not None and now >= self.end * unit):
            return 0.0
        if since < self.warmup:
            return cosine(since, max(self.warmup - 1, 1), start=0.0, end=self.weight)
        return self.weight

    def nothing(self, inputs: dict) -> Float[Tensor, '']:
        """The loss of a branch that rests: 0, with zero gradients for its own parameters.

        Distributed training waits for a gradient of each.
        """
        zero = inputs['views'][0].new_zeros(())
        for parameter in self.parameters():
            if parameter.requires_grad:
                zero = zero + parameter.sum() * 0
        return zero

    def combine(
        self, losses: dict[str, Float[Tensor, '']], result: BranchLoss
    ) -> dict[str, Float[Tensor, '']]:
        """The host's losses and the branch's, each with its weight: their sum is the total.

        Args:
            losses: Losses of the host by name.
            result: Of :meth:`forward`.

        Returns:
            The same names, scaled by ``host_weight``, plus ``loss_<name>``.
        """
        combined = {name: loss * result.host_weight for name, loss in losses.items()}
        combined[f'loss_{self.name}'] = result.loss * result.weight
        return combined


def shown(inputs: dict, view: int, sees: Sees) -> Float[Tensor, 'n c h w']:
    """A view (N, 3, H, W) as a teacher is to see it, normalised.

    Args:
        inputs: The batch.
        view: Index of the view.
        sees: ``'view'``: the student's pixels; ``'raw'``: without changed colours, in full
            resolution where the preprocessor shrinks views for the student.

    Raises:
        ValueError: If the batch does not hold the raw views.
    """
    if sees == 'view':
        return inputs['views'][view]
    if 'raw' not in inputs or 'normalise' not in inputs:
        raise ValueError(
            "sees='raw' of a branch needs the uint8 views; set keep_raw=True in the "
            'MultiViewPreprocessor'
        )
    return inputs['normalise'](inputs['raw'][view])


def student_map(
    host: 'DenseHost', inputs: dict, targets: dict[int, Any], view: int
) -> Float[Tensor, 'n c h w']:
    """The student's map (N, C, h, w) of a view: of the host's own pass, or of one for this.

    The running statistics of BatchNorm do not notice a pass of our own.
    """
    if view in getattr(targets, 'student', {}):
        return targets.student[view]  # type: ignore[attr-defined]
    with frozen_running_stats(host.backbone):
        return host.dense_map(host.backbone, inputs['views'][view])


@torch.no_grad()
def teacher_map(
    host: 'DenseHost', inputs: dict, targets: dict[int, Any], view: int, *, sees: Sees = 'view'
) -> Float[Tensor, 'n c h w']:
    """The teacher's map of a view in the same way, without gradient; ``sees`` as in :func:`shown`.

    What the teacher has not seen yet (``'raw'``) costs a pass.
    """
    if sees == 'view' and view in getattr(targets, 'teacher', {}):
        return targets.teacher[view].detach()  # type: ignore[attr-defined]
    teacher = host.get_backbone('teacher')
    with frozen_running_stats(teacher):
        return host.dense_map(teacher, shown(inputs, view, sees))

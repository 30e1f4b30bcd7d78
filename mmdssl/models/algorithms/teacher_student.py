"""Hosts whose teacher is a moving average of the student."""

from collections.abc import Sequence
from typing import Any

from mmengine import dist
from mmengine.logging import print_log
from torch import Tensor, nn

from mmdssl.core.schedules import cosine_momentum
from mmdssl.models.algorithms.base import BaseDenseSSL
from mmdssl.models.utils.teacher import EMATeacher

# Steps without a teacher update after which the user is told; larger than any
# sensible number of gradient accumulation steps.
_PATIENCE = 64


class TeacherStudent(BaseDenseSSL):
    """A student that learns from its own moving average.

    Args:
        backbone: Student backbone.
        head: Projection head or None.
        neck: Neck or None.
        decoupling: Config of a :class:`DecouplingBranch`, or None for the plain
            method (nothing of the branch is built or run then).
        branches: Configs of further branches, see :class:`BaseDenseSSL`.
        init: Checkpoint of the backbone to start from, see :class:`BaseDenseSSL`.
        momentum: EMA momentum (start, end), cosine over the run, as m in
            ``t <- m t + (1 - m) s``.
        teacher_train_mode: Keep the teacher in training mode (BatchNorm hosts).
        teacher_without: Parameters the teacher does without, see :class:`EMATeacher`.
        data_preprocessor: Usually a :class:`MultiViewPreprocessor`.
        init_cfg: mmengine initialisation.
    """

    evaluated_backbone = 'teacher'
    #: 1 for methods that update the teacher right before its pass in step k, with the momentum
    #: of step k: that is our update after step k - 1.
    update_offset = 0
    #: Whether the momentum's cosine is as long as epochs * images / (images a step), the last and
    #: incomplete batch of each epoch included, though the loader drops it (SoCo, SlotCon).
    momentum_counts_dropped = False
    teacher: EMATeacher

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        head: dict | nn.Module | None = None,
        neck: dict | nn.Module | None = None,
        decoupling: dict | None = None,
        branches: Sequence[dict] | None = None,
        init: str | None = None,
        momentum: tuple[float, float] = (0.996, 1.0),
        teacher_train_mode: bool = False,
        teacher_without: tuple[str, ...] = (),
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            backbone=backbone,
            head=head,
            neck=neck,
            decoupling=decoupling,
            branches=branches,
            init=init,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        self.momentum = momentum
        self.teacher = EMATeacher(self._led(), drop=teacher_without, train_mode=teacher_train_mode)
        self._steps_without_update = 0
        self._batches_per_epoch = 0.0  # dropped images included; 0: not known

    def check_data(self, *, batch_size: int, num_images: int) -> None:
        """As :meth:`BaseDenseSSL.check_data`; keeps the length of an epoch for the momentum."""
        super().check_data(batch_size=batch_size, num_images=num_images)
        self._batches_per_epoch = num_images / dist.get_world_size() / batch_size

    def _followed(self) -> dict[str, nn.Module]:
        """Student parts of the method that the teacher follows."""
        parts = {'backbone': self.backbone, 'neck': self.neck, 'head': self.head}
        return {name: part for name, part in parts.items() if part is not None}

    def _led(self) -> dict[str, nn.Module]:
        """All that the teacher follows, with what branches train."""
        return {**self._followed(), **self.branches.followed()}

    def init_weights(self) -> None:
        """Initialise the student, then make the teacher equal to it."""
        super().init_weights()
        self.teacher.copy_from(self._led())

    def _other_origins(self) -> dict[str, str]:
        return {**super()._other_origins(), 'teacher': 'a copy of these'}

    def _momentum_steps(self) -> int:
        """Steps after which the momentum would reach its end, never below those there are."""
        iterations = self.clock.max_iterations
        if not self.momentum_counts_dropped:
            return iterations
        epochs = iterations / self.clock.iterations_per_epoch
        return max(int(self._batches_per_epoch * epochs), iterations)

    def update_teacher(self) -> None:
        """One EMA step; called once after every optimizer step."""
        momentum = cosine_momentum(
            self.clock.iteration + self.update_offset,
            self._momentum_steps(),
            start=self.momentum[0],
            end=self.momentum[1],
        )
        self.teacher.update(self._led(), momentum=momentum)
        self._steps_without_update = 0

    def forward(
        self, inputs: dict | Tensor, data_samples: list | None = None, mode: str = 'tensor'
    ) -> Any:
        """As :meth:`BaseDenseSSL.forward`; counts training steps without a teacher update."""
        if mode == 'loss' and self.training:
            self._watch_teacher()
        return super().forward(inputs, data_samples, mode)

    def _watch_teacher(self) -> None:
        self._steps_without_update += 1
        if self._steps_without_update == _PATIENCE:
            print_log(
                f'{type(self).__name__}: {_PATIENCE} training steps without a teacher update; add '
                "dict(type='TeacherUpdateHook') to custom_hooks, or call update_teacher() after "
                'each optimizer step',
                logger='current',
                level=30,
            )

"""What all hosts share: student, EMA teacher, de-coupling branch, training clock."""

from abc import abstractmethod
from typing import Any

from mmengine.logging import print_log
from mmpretrain.models.selfsup.base import BaseSelfSupervisor
from torch import Tensor, nn

from mmdssl.engine.schedules import cosine_momentum
from mmdssl.models.decoupling import DecouplingBranch
from mmdssl.models.objectives import Objective
from mmdssl.models.utils.clock import TrainingClock
from mmdssl.models.utils.teacher import EMATeacher
from mmdssl.registry import MODELS

# Steps without a teacher update after which the user is told; larger than any
# sensible number of gradient accumulation steps.
_PATIENCE = 64


def _build(config: dict | nn.Module | None) -> nn.Module | None:
    """Builds a config in our own registry, whatever the current default scope."""
    return MODELS.build(config) if isinstance(config, dict) else config


class TeacherStudent(BaseSelfSupervisor):
    """A student that learns from its own moving average.

    Args:
        backbone: Student backbone.
        head: Projection head or None.
        neck: Neck or None.
        decoupling: Config of a :class:`DecouplingBranch`, or None for the plain
            method (nothing of the branch is built or run then).
        momentum: EMA momentum (start, end), cosine over the run, as m in
            ``t <- m t + (1 - m) s``.
        teacher_train_mode: Keep the teacher in training mode (BatchNorm hosts).
        teacher_without: Parameters the teacher does without, see :class:`EMATeacher`.
        data_preprocessor: Usually a :class:`MultiViewPreprocessor`.
        init_cfg: mmengine initialisation.
    """

    #: Defaults of the branch for this host, where they differ from the branch's own.
    decoupling_defaults: dict[str, Any] = {}
    #: Whether :meth:`dense_features` can mix at patch embeddings.
    supports_patch_mixing = False
    #: What :meth:`dense_loss` can compare besides equal positions.
    further_objectives: tuple[Objective, ...] = ()
    #: The backbone that is kept for evaluation and export, ``'teacher'`` or ``'student'``.
    evaluated_backbone = 'teacher'
    #: Whether a batch smaller than the others, at the end of an epoch, cannot be used.
    needs_whole_batches = False
    #: 1 for methods that update the teacher right before its pass in step k, with the momentum
    #: of step k: that is our update after step k - 1.
    teacher_lag = 0

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        head: dict | nn.Module | None = None,
        neck: dict | nn.Module | None = None,
        decoupling: dict | None = None,
        momentum: tuple[float, float] = (0.996, 1.0),
        teacher_train_mode: bool = False,
        teacher_without: tuple[str, ...] = (),
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            backbone=_build(backbone),
            head=_build(head),
            neck=_build(neck),
            data_preprocessor=_build(data_preprocessor or dict(type='MultiViewPreprocessor')),
            init_cfg=init_cfg,
        )
        self.momentum = momentum
        self.clock = TrainingClock()
        self.teacher = EMATeacher(
            self._followed(), drop=teacher_without, train_mode=teacher_train_mode
        )
        self.decoupling: DecouplingBranch | None = None
        if decoupling is not None:
            self.decoupling = MODELS.build({**self.decoupling_defaults, **decoupling})
            self.decoupling.check_host(self)
        self._steps_without_update = 0

    def _followed(self) -> dict[str, nn.Module]:
        """Student parts that the teacher follows."""
        parts = {'backbone': self.backbone, 'neck': self.neck, 'head': self.head}
        return {name: part for name, part in parts.items() if part is not None}

    def init_weights(self) -> None:
        """Initialise the student, then make the teacher equal to it."""
        super().init_weights()
        self.teacher.copy_from(self._followed())

    def get_backbone(self, which: str = 'auto') -> nn.Module:
        """The ``'teacher'`` or ``'student'`` backbone; ``'auto'``: the one to keep."""
        if which == 'auto':
            which = self.evaluated_backbone
        if which == 'teacher':
            return self.teacher.backbone
        if which == 'student':
            return self.backbone
        raise ValueError(f"which is {which!r}, choose 'teacher', 'student' or 'auto'")

    def check_batch_size(self, batch_size: int) -> None:
        """Refuse a per-process batch size this model cannot train with."""
        if self.decoupling is not None:
            self.decoupling.check_batch_size(batch_size)

    def check_data(self, *, batch_size: int, num_images: int) -> None:
        """Refuse data this model cannot train with, or adapt to them; before training starts.

        Args:
            batch_size: Images per process and step.
            num_images: Size of the data set.
        """
        self.check_batch_size(batch_size)

    def update_teacher(self) -> None:
        """One EMA step; called once after every optimizer step."""
        momentum = cosine_momentum(
            self.clock.iteration + self.teacher_lag,
            self.clock.max_iterations,
            start=self.momentum[0],
            end=self.momentum[1],
        )
        self.teacher.update(self._followed(), momentum=momentum)
        self._steps_without_update = 0

    def forward(
        self, inputs: dict | Tensor, data_samples: list | None = None, mode: str = 'tensor'
    ) -> Any:
        """``'loss'`` for training; ``'tensor'`` gives feature maps of the backbone to keep.

        Args:
            inputs: The batch of the preprocessor ('loss'), or images (N, 3, H, W).
            data_samples: Passed on.
            mode: ``'loss'`` or ``'tensor'``.
        """
        if mode == 'loss':
            if not isinstance(inputs, dict):
                raise TypeError(
                    f'{type(self).__name__}: losses need the batch of a MultiViewPreprocessor, a '
                    f"dict with 'views', not {type(inputs).__name__}"
                )
            self._watch_teacher()
            return self.loss(inputs, data_samples)
        if mode == 'tensor':
            return self.get_backbone()(inputs)
        raise ValueError(
            f"{type(self).__name__}: mode is {mode!r}; a pre-training model knows 'loss' and "
            "'tensor' (evaluation goes through FeatureExtractor)"
        )

    def _watch_teacher(self) -> None:
        if not self.training:
            return
        self._steps_without_update += 1
        if self._steps_without_update == _PATIENCE:
            print_log(
                f'{type(self).__name__}: {_PATIENCE} training steps without a teacher update; add '
                "dict(type='TeacherUpdateHook') to custom_hooks, or call update_teacher() after "
                'each optimizer step',
                logger='current',
                level=30,
            )

    @abstractmethod
    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """Losses of one batch; entries whose name holds 'loss' are summed."""

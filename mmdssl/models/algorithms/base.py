"""What all hosts share, whatever their teacher: student, branches, training clock."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from mmengine.logging import print_log
from mmpretrain.models.selfsup.base import BaseSelfSupervisor
from torch import Tensor, nn

from mmdssl.core.clock import TrainingClock
from mmdssl.core.hub import local_file
from mmdssl.models.branches.branch_list import Branches
from mmdssl.models.branches.decoupling import DecouplingBranch
from mmdssl.models.decoupled_views import DecoupledViews
from mmdssl.models.objectives import Objective
from mmdssl.models.utils.backbone_weights import load_backbone
from mmdssl.registry import MODELS

__all__ = ['BaseDenseSSL', 'build_part']


def build_part(config: dict | nn.Module | None) -> Any:
    """Builds a config in our own registry, whatever the current default scope."""
    return MODELS.build(config) if isinstance(config, dict) else config


class BaseDenseSSL(BaseSelfSupervisor):
    """A student that learns from a teacher.

    A subclass sets ``teacher``, a module with an attribute ``backbone``: a moving average
    of the student (:class:`TeacherStudent`) or a frozen network (:class:`MaskAlign`).

    Args:
        backbone: Student backbone.
        head: Projection head or None.
        neck: Neck or None.
        decoupling: Config of a :class:`DecouplingBranch`, or None for the plain
            method (nothing of the branch is built or run then).
        branches: Configs of further branches (:mod:`mmdssl.models.branches`), in this order;
            ``decoupling=dict(...)`` equals ``branches=[dict(type='DecouplingBranch', ...)]``.
        init: Checkpoint of the backbone to start from, see :func:`load_backbone`; None or
            ``'random'``: none; ``'given'``: it brings its weights itself. Read when training
            starts, not to evaluate or export.
        data_preprocessor: Usually a :class:`MultiViewPreprocessor`.
        init_cfg: mmengine initialisation.
    """

    #: Defaults of the branch for this host, where they differ from the branch's own.
    decoupling_defaults: dict[str, Any] = {}
    #: Whether :meth:`dense_features` can mix at patch embeddings.
    supports_patch_mixing = False
    #: What :meth:`dense_loss` can compare besides equal positions.
    further_objectives: tuple[Objective, ...] = ()
    #: The evaluation backbone, which is measured and exported, ``'teacher'`` or ``'student'``.
    evaluated_backbone = 'student'
    #: Whether a batch smaller than the others, at the end of an epoch, cannot be used.
    requires_drop_last = False
    #: Has an attribute ``backbone``.
    teacher: Any

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        head: dict | nn.Module | None = None,
        neck: dict | nn.Module | None = None,
        decoupling: dict | None = None,
        branches: Sequence[dict] | None = None,
        init: str | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            backbone=build_part(backbone),
            head=build_part(head),
            neck=build_part(neck),
            data_preprocessor=build_part(data_preprocessor or dict(type='MultiViewPreprocessor')),
            init_cfg=init_cfg,
        )
        self.init = init
        self.clock = TrainingClock()
        self.branches = Branches(
            self, decoupling=decoupling, branches=branches, defaults=self.decoupling_defaults
        )

    def init_weights(self) -> None:
        """New weights, then those of the given backbone, whose origin is told in one line."""
        super().init_weights()
        if self.init not in (None, 'random', 'given'):
            self.load_given(self.init)

    def load_given(self, file: str) -> None:
        """Read the backbone to start from, and tell where all weights are from.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it does not hold this backbone, see :func:`load_backbone`.
        """
        path = local_file(file)
        if not path.is_file():
            raise FileNotFoundError(
                f'{type(self).__name__} starts from a given backbone, but there is no file {file}: '
                'make it (the head of the config says how), give another as model.init=FILE, or '
                'model.init=random to try out the rest'
            )
        report = load_backbone(self.backbone, path)
        parts = {'backbone': report.origin(path), **self._other_origins()}
        line = '; '.join(f'{name}: {origin}' for name, origin in parts.items())
        print_log(f'{type(self).__name__} starts with {line}', logger='current')

    def _other_origins(self) -> dict[str, str]:
        """Where the weights of the other parts are from, where the backbone is a given one."""
        own = ('backbone', 'branches')
        origins = {
            name: 'new'
            for name, part in self.named_children()
            if name not in own and any(one.requires_grad for one in part.parameters())
        }
        for branch in self.branches.each():
            if any(True for _ in branch.parameters()):
                origins[f'branches.{branch.name}'] = branch.origin()
        return origins

    @property
    def decoupling(self) -> DecouplingBranch | None:
        """The de-coupling branch among :attr:`branches`."""
        return self.branches.first_decoupling

    @property
    def directions(self) -> int:
        """Key views of the de-coupling branch: terms in a loss that sums over directions."""
        return len(self.decoupling.key_views) if self.decoupling is not None else 1

    def with_branches(
        self,
        losses: dict[str, Tensor],
        inputs: dict,
        targets: dict[int, Any],
        *,
        passed: tuple[DecoupledViews, Any] | None = None,
    ) -> dict[str, Tensor]:
        """The losses of this host and of its branches, see :meth:`Branches.extend`."""
        return self.branches.extend(self, losses, inputs, targets, passed=passed)

    def dense_map(self, backbone: nn.Module, images: Tensor) -> Tensor:
        """Feature map (N, C, h, w) that a backbone of this host's kind gives for images.

        The last map: of a ViT the patches after the final norm, without CLS.
        """
        return backbone(images)[-1]

    def get_backbone(self, which: str = 'auto') -> nn.Module:
        """The ``'teacher'`` or ``'student'`` backbone; ``'auto'``: the one to keep."""
        if which == 'auto':
            which = self.evaluated_backbone
        if which == 'teacher':
            return self.teacher.backbone
        if which == 'student':
            return self.backbone
        raise ValueError(f"which is {which!r}, choose 'teacher', 'student' or 'auto'")

    def written_parameters(self) -> list[Tensor]:
        """Parameters that a forward pass in training writes, as its parts name them.

        They, as the buffers, are put back after a step that is not finite.
        """
        parts = [part for part in self.modules() if part is not self]
        named = [part for part in parts if hasattr(part, 'written_parameters')]
        return [parameter for part in named for parameter in part.written_parameters()]

    def check_batch_size(self, batch_size: int) -> None:
        """Refuse a per-process batch size this model cannot train with."""
        self.branches.check_batch_size(batch_size)

    def check_data(self, *, batch_size: int, num_images: int) -> None:
        """Refuse data this model cannot train with, or adapt to them; before training starts.

        Args:
            batch_size: Images per process and step.
            num_images: Size of the data set.
        """
        self.check_batch_size(batch_size)

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
            if self.training:
                self.branches.observe(self)
            return self.loss(inputs, data_samples)
        if mode == 'tensor':
            return self.get_backbone()(inputs)
        raise ValueError(
            f"{type(self).__name__}: mode is {mode!r}; a pre-training model knows 'loss' and "
            "'tensor' (evaluation goes through FeatureExtractor)"
        )

    @abstractmethod
    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """Losses of one batch; entries whose name holds 'loss' are summed."""

"""De-coupling a given backbone: it distils itself, with foreign backgrounds around what it knows.

Student and teacher start as the given backbone. With s_i and t_i their features at cell i of a
map, over all maps that the backbone gives:

    L   = mean over maps, images and cells of               1 - cos(s_i(X), t_i(X))
    L_D = mean over maps, samples and foreground cells of   1 - cos(s_i(X^D), t_i(X))

L_D is the dense loss of "Mind Your Augmentation" (ICLR 2024), Sec. 4, and needs a
``DecouplingBranch``: X^D is X with a part exchanged for another image, and what is left of X shall
look as it did in X. L keeps everything else where it was. Nothing is projected: the cosine compares
the features that are used later.

Beside a frozen teacher L alone is 0 at the start and moves nothing but the statistics of
BatchNorm: it is the counterweight of L_D. This host is no published method.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmdssl.models.algorithms.teacher_student import TeacherStudent
from mmdssl.models.branches.branch import Targets
from mmdssl.models.chosen_cells import per_sample_weights
from mmdssl.models.foreground import Foreground
from mmdssl.models.utils.batch_statistics import frozen_running_stats
from mmdssl.registry import MODELS

Maps = tuple[Tensor, ...]


@MODELS.register_module()
class DenseDistillation(TeacherStudent):
    """Self-distillation of a given backbone, to be used with ``decoupling``.

    Args:
        backbone: Config or module of any that gives feature maps (N, C, h, w): a CNN, or a vision
            transformer with ``out_type='featmap'``. Its ``out_indices`` say at which levels
            features are compared; the last map is the one that O-KNN reads.
        init: Checkpoint of the backbone, see :class:`BaseDenseSSL`; ``'given'``: the backbone
            brings its weights (a module, or by its ``init_cfg``); ``'random'``: none, to try out
            the rest. Read when training starts, not to evaluate or export.
        norm_eval: BatchNorm of the student normalises by the statistics it came with and keeps
            them. Without, it normalises by the batch and remembers that of X (never that of X^D).
        momentum: EMA momentum (start, end) of the teacher; 1 throughout freezes it.
        decoupling: Branch or None; view 0 is the key view by default.
        branches: Further branches, see :class:`BaseDenseSSL`.
        data_preprocessor: Usually a :class:`MultiViewPreprocessor`.
        init_cfg: mmengine initialisation.

    The batch: ``inputs['views'][0]`` (N, 3, H, W); further views are read by the branch alone, if
    its ``key_views`` name them, and seen by the teacher for it.

    Raises:
        ValueError: If nothing says where the weights come from.
    """

    decoupling_defaults = dict(key_views=(0,), mix_level='pixel')
    evaluated_backbone = 'student'

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        init: str | None = None,
        norm_eval: bool = True,
        momentum: tuple[float, float] = (1.0, 1.0),
        decoupling: dict | None = None,
        branches: Sequence[dict] | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        if not init:
            raise ValueError(
                'DenseDistillation starts from a given backbone: set init to its checkpoint, to '
                "'given' where the backbone has an init_cfg, or to 'random' to try out the rest"
            )
        super().__init__(
            backbone=backbone,
            decoupling=decoupling,
            branches=branches,
            init=init,
            momentum=momentum,
            teacher_train_mode=False,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        self._keeps_weights = init == 'given' and isinstance(backbone, nn.Module)
        self.norm_eval = norm_eval

    @property
    def frozen(self) -> bool:
        """Whether the teacher stays what it was."""
        return tuple(self.momentum) == (1.0, 1.0)

    def train(self, mode: bool = True) -> 'DenseDistillation':
        """As ever, but with ``norm_eval`` the BatchNorms of the backbone keep evaluating."""
        super().train(mode)
        if self.norm_eval:
            for part in self.backbone.modules():
                if isinstance(part, _BatchNorm):
                    part.eval()
        return self

    def init_weights(self) -> None:
        """Read the backbone to start from; the teacher is a copy of it."""
        if self._keeps_weights:
            return
        if self.init is None or self.init in ('given', 'random'):
            super().init_weights()
            return
        self.load_given(self.init)
        self.teacher.copy_from(self._led())

    def update_teacher(self) -> None:
        """One EMA step; a frozen teacher keeps its BatchNorm statistics as well."""
        if self.frozen:
            self._steps_without_update = 0
        else:
            super().update_teacher()

    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """``loss_keep`` (and those of branches), each with its weight."""
        images = inputs['views'][0]
        targets = {0: self._teach(images)}
        student = self._maps(self.backbone, images)
        pairs = zip(student, targets[0], strict=True)
        losses = dict(loss_keep=torch.stack([_distance(s, t).mean() for s, t in pairs]).mean())
        for view in self.decoupling.key_views if self.decoupling is not None else ():
            if view not in targets:
                targets[view] = self._teach(inputs['views'][view])
        known = {view: maps[-1] for view, maps in targets.items()}
        return self.with_branches(
            losses, inputs, Targets(targets, student={0: student[-1]}, teacher=known)
        )

    def dense_features(self, images: Tensor, **mixing: Any) -> Maps:
        """Student maps (n, C, h, w) of images; BatchNorm does not remember them."""
        with frozen_running_stats(self.backbone):
            return self._maps(self.backbone, images)

    def dense_targets(self, images: Tensor, reused: Maps) -> Maps:
        """Teacher maps (n, C, h, w) of redrawn key views."""
        return self._teach(images)

    def dense_loss(self, features: Maps, targets: Maps, foreground: Foreground) -> Tensor:
        """1 - cos at the foreground cells: mean per sample, over samples, over maps."""
        losses = []
        for student, teacher in zip(features, targets, strict=True):
            chosen = foreground.cells(*student.shape[2:])  # (n, h, w)
            each = _distance(student, teacher)[chosen]  # (M,)
            losses.append((each * per_sample_weights(chosen.flatten(1), each.dtype)).sum())
        return torch.stack(losses).mean()

    @torch.no_grad()
    def _teach(self, images: Tensor) -> Maps:
        return self._maps(self.teacher.backbone, images)

    @staticmethod
    def _maps(backbone: nn.Module, images: Tensor) -> Maps:
        """All maps of a backbone, (N, C, h, w) each."""
        maps = backbone(images)
        maps = tuple(maps) if isinstance(maps, (tuple, list)) else (maps,)
        for found in maps:
            if not isinstance(found, Tensor) or found.ndim != 4:
                what = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
                raise ValueError(
                    f'DenseDistillation: {type(backbone).__name__} gives {what}, but cells of maps '
                    "(N, C, h, w) are compared: set out_type='featmap' for a vision transformer"
                )
        return maps


def _distance(one: Tensor, two: Tensor) -> Tensor:
    """1 - cos of the cells of two maps (N, C, h, w): (N, h, w) float32."""
    return 1 - F.cosine_similarity(one.float(), two.float(), dim=1)

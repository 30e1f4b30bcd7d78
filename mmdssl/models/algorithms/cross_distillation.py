"""A backbone learns the dense features of another that somebody trained, de-coupled if wanted.

With t_i the teacher's features at cell i, channel by channel standardised over the data, s_i those
of the student after a projection, and both maps on the finer of the two grids:

    L   = mean over images and cells of               1 - cos(s_i(X), t_i(X))
    L_D = mean over samples and foreground cells of   1 - cos(s_i(X^D), t_i(X))

L_D is the dense loss of "Mind Your Augmentation" (ICLR 2024), Sec. 4, and needs a
``DecouplingBranch``. The networks need have nothing in common: a vision transformer learns from a
CNN, a small one from a large one. The projection is thrown away afterwards. Without
standardisation the largest channels of the teacher, and the mean of all, would be most of the
cosine. This host is no published method; :mod:`dense_distillation` is for a backbone that
learns from itself.
"""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from mmdssl.models.algorithms.base import BaseDenseSSL, build_part
from mmdssl.models.branches.branch import Targets
from mmdssl.models.chosen_cells import per_sample_weights
from mmdssl.models.foreground import Foreground
from mmdssl.models.utils.batch_statistics import frozen_running_stats
from mmdssl.models.utils.frozen_maps import FrozenMaps, last_map
from mmdssl.models.utils.running_standard import RunningStandard
from mmdssl.registry import MODELS


@MODELS.register_module()
class CrossDistillation(BaseDenseSSL):
    """Distillation of a given backbone into another one, cell by cell.

    Args:
        backbone: Student: config or module of any that gives feature maps (N, C, h, w); the last
            one learns.
        neck: From the student's channels to the teacher's: a :class:`PointMLP`, with
            ``num_layers=1`` a linear layer on every cell.
        teacher: A :class:`FrozenMaps` (config or module).
        decoupling: Branch or None; view 0 is the key view by default.
        branches: Further branches, see :class:`BaseDenseSSL`.
        init: Checkpoint of the student to start from, see :class:`BaseDenseSSL`; None: new weights.
        data_preprocessor: Usually a :class:`MultiViewPreprocessor`.
        init_cfg: mmengine initialisation.

    The batch: ``inputs['views'][0]`` (N, 3, H, W); further views are read by the branch alone, if
    its ``key_views`` name them, and seen by the teacher for it.

    Raises:
        ValueError: If student or teacher gives no map, if ``neck`` ends in another width than the
            teacher's, or the teacher wants pixels that the preprocessor does not tell.
    """

    decoupling_defaults = dict(key_views=(0,), mix_level='pixel')
    evaluated_backbone = 'student'
    neck: Any
    teacher: FrozenMaps

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        neck: dict | nn.Module,
        teacher: dict | nn.Module,
        decoupling: dict | None = None,
        branches: Sequence[dict] | None = None,
        init: str | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            backbone=backbone,
            neck=neck,
            decoupling=decoupling,
            branches=branches,
            init=init,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        self.teacher = build_part(teacher)
        self.teacher.expect_normalised_by(self.data_preprocessor, type(self).__name__)
        if not hasattr(self.neck, 'out_channels'):
            raise ValueError(
                f'CrossDistillation: {type(self.neck).__name__} does not say how wide it ends; use '
                'PointMLP as neck'
            )
        self.standard = RunningStandard(self.neck.out_channels)

    def check_data(self, *, batch_size: int, num_images: int) -> None:
        """Also refuses to start without the teacher's file."""
        super().check_data(batch_size=batch_size, num_images=num_images)
        self.teacher.check_checkpoint()

    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """``loss_distill`` (and those of branches), each with its weight."""
        images = inputs['views'][0]
        seen = self._seen(images)
        if self.training:
            self.standard.observe(seen)
        targets = {0: self.standard(seen)}
        student = last_map(self.backbone, images)
        distances = _distance(self.neck(student), targets[0])
        losses = dict(loss_distill=distances.mean())
        for view in self.decoupling.key_views if self.decoupling is not None else ():
            if view not in targets:
                targets[view] = self.standard(self._seen(inputs['views'][view]))
        return self.with_branches(
            losses, inputs, Targets(targets, student={0: student}, teacher=targets)
        )

    def dense_features(self, images: Tensor, **mixing: Any) -> Tensor:
        """Projected student map (n, C, h, w) of images; BatchNorm does not remember them."""
        with frozen_running_stats(self.backbone, self.neck):
            projected: Tensor = self.neck(last_map(self.backbone, images))
        return projected

    def dense_targets(self, images: Tensor, reused: Tensor) -> Tensor:
        """Teacher map (n, C, h, w) of redrawn key views."""
        return self.standard(self._seen(images))

    def dense_loss(self, features: Tensor, targets: Tensor, foreground: Foreground) -> Tensor:
        """1 - cos at the foreground cells: mean per sample, over samples."""
        distances = _distance(features, targets)  # (n, h, w)
        chosen = foreground.cells(*distances.shape[1:])
        each = distances[chosen]  # (M,)
        return (each * per_sample_weights(chosen.flatten(1), each.dtype)).sum()

    def _seen(self, images: Tensor) -> Tensor:
        """The teacher's map (N, C, h, w), as wide as the neck."""
        found = self.teacher(images)
        if found.shape[1] != self.neck.out_channels:
            raise ValueError(
                f'CrossDistillation: the teacher gives {found.shape[1]} channels and the neck '
                f'{self.neck.out_channels}; set model.neck.out_channels={found.shape[1]}'
            )
        return found


def _distance(student: Tensor, teacher: Tensor) -> Tensor:
    """1 - cos of the cells of maps (N, C, h, w), the coarser enlarged: (N, h, w) float32."""
    student, teacher = student.float(), teacher.float()
    size = [max(sides) for sides in zip(student.shape[2:], teacher.shape[2:], strict=True)]
    student, teacher = (
        maps
        if list(maps.shape[2:]) == size
        else F.interpolate(maps, size, mode='bilinear', align_corners=False)
        for maps in (student, teacher)
    )
    return 1 - F.cosine_similarity(student, teacher, dim=1)

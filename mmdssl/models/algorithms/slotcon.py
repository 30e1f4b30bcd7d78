"""SlotCon: contrast of learnt groups of cells, NeurIPS 2022 (arXiv 2205.15288).

Two views of an image; both nets project every cell of the last map and compare it with K learnt
prototypes, the slots. With d the cosines of a cell with all prototypes, and s_k the mean of the
cells that belong to prototype k:

    L = w * grouping(d, d') + (1 - w) * contrast(s, s')     both directions added, w = 0.5

The grouping loss asks for the same assignments at the same place of the image, the contrast for
the same slot vectors (:mod:`mmdssl.models.losses.slot_contrast`). The prototypes are parameters;
the teacher has its own, the moving average. A centre, the running mean of the teacher's scores,
keeps the assignments from collapsing; it moves after all losses of a step.

The branch (no paper has SlotCon-D; ours) is the grouping loss between X^D and X at the same cell,
without any alignment, on the foreground: mean over the cells of a sample, then over samples. With
w = 0.5 that is the scale of the grouping part of L. Slots of X^D would pool its background; they
are not used, and the centre does not see X^D.

Images whose views have nothing in common count in the contrast alone. (The official code aligns
an inverted box there.) The evaluation backbone is the teacher, as in the official transfer.
"""

# The official code moves the teacher between the student's and its own pass of step k, by the
# momentum of step k: our update after step k - 1.

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mmdssl.models.algorithms.base import build_part
from mmdssl.models.algorithms.teacher_student import TeacherStudent
from mmdssl.models.branches.branch import Targets
from mmdssl.models.foreground import Foreground
from mmdssl.models.losses.region_assignment import assignment_cross_entropy
from mmdssl.models.losses.slot_contrast import (
    aligned_scores,
    counted_slots,
    grouping_loss,
    slot_contrast_loss,
)
from mmdssl.models.utils.batch_statistics import frozen_running_stats
from mmdssl.models.utils.collectives import all_reduce
from mmdssl.models.utils.crop_geometry import common_part, crops_of
from mmdssl.models.utils.setting_checks import SettingChecks
from mmdssl.registry import MODELS


@MODELS.register_module()
class SlotCon(TeacherStudent):
    """SlotCon, and with ``decoupling`` SlotCon-D.

    Args:
        backbone: Gives maps, of which the last is used, e.g. mmpretrain's ``ResNet``.
        neck: Projector of the cells, a :class:`PointMLP`.
        head: The prototypes, a :class:`SlotHead`; the teacher has its own.
        predictor: Of slots, the student's alone: a :class:`PointMLP` of rows (``conv=False``).
        group_weight: w in [0, 1], the weight of the grouping loss.
        student_temperature: Of the student's assignments.
        teacher_temperature: Of the teacher's assignments.
        contrast_temperature: Of the contrast of slots.
        centre_momentum: Of the centre, in [0, 1).
        momentum: EMA momentum (start, end), along a cosine that dropped images prolong, see
            :attr:`TeacherStudent.momentum_counts_dropped`.
        decoupling: Branch or None; both views are key views by default.
        branches: Further branches, see :class:`BaseDenseSSL`.
        data_preprocessor: Usually a :class:`MultiViewPreprocessor`.
        init_cfg: mmengine initialisation.

    The batch: ``inputs['views']``, two (N, 3, H, W); ``inputs['crop_box']``, two (N, 4), x1 y1 x2
    y2 in pixels of the image; ``inputs['flip']``, two (N, 2) bool.
    """

    decoupling_defaults = dict(key_views=(0, 1))
    evaluated_backbone = 'teacher'
    update_offset = 1
    momentum_counts_dropped = True

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        neck: dict | nn.Module,
        head: dict | nn.Module,
        predictor: dict | nn.Module,
        group_weight: float = 0.5,
        student_temperature: float = 0.1,
        teacher_temperature: float = 0.07,
        contrast_temperature: float = 0.2,
        centre_momentum: float = 0.9,
        momentum: tuple[float, float] = (0.99, 1.0),
        decoupling: dict | None = None,
        branches: Sequence[dict] | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            backbone=backbone,
            neck=neck,
            head=head,
            decoupling=decoupling,
            branches=branches,
            momentum=momentum,
            teacher_train_mode=True,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        check = SettingChecks('SlotCon')
        for name, value in (
            ('student_temperature', student_temperature),
            ('teacher_temperature', teacher_temperature),
            ('contrast_temperature', contrast_temperature),
        ):
            check.above(name, value, 0, float('inf'))
        for name, value, high in (
            ('group_weight', group_weight, 1),
            ('centre_momentum', centre_momentum, 1),
        ):
            if not 0 <= value <= high:
                raise ValueError(f'SlotCon: {name} is {value}, give a number from 0 to {high}')
        self.predictor: Any = build_part(predictor)
        self.group_weight = group_weight
        self.student_temperature = student_temperature
        self.teacher_temperature = teacher_temperature
        self.contrast_temperature = contrast_temperature
        self.centre_momentum = centre_momentum
        self.register_buffer('centre', torch.zeros(1, self.head.num_slots))
        self.centre: Tensor

    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """``loss_group``, ``loss_slot`` (and those of branches), each with its weight."""
        crops, flips = crops_of(inputs, 2, 'SlotCon')
        views = inputs['views'][:2]
        slots, scores, seen = zip(*(self._encode(self, view) for view in views), strict=True)
        keys, taught, shown = zip(*(self._teach(view) for view in views), strict=True)
        boxes, meets = zip(
            *(common_part(crops[v], crops[1 - v], flips[v]) for v in range(2)), strict=True
        )
        same = [aligned_scores(scores[v], boxes[v], flips[v]) for v in range(2)]
        wanted = [aligned_scores(taught[v], boxes[v], flips[v]) for v in range(2)]
        used = [counted_slots(one.detach()) for one in scores]
        key_used = [counted_slots(one) for one in taught]
        group = [self._grouping(same[v], wanted[1 - v], meets[v]) for v in range(2)]
        slot = [
            slot_contrast_loss(
                slots[v],
                keys[1 - v],
                used[v],
                key_used[1 - v],
                self.predictor,
                temperature=self.contrast_temperature,
            )
            for v in range(2)
        ]
        losses = dict(
            loss_group=(group[0] + group[1]) * self.group_weight,
            loss_slot=(slot[0] + slot[1]) * (1 - self.group_weight),
        )
        targets = Targets(
            dict(enumerate(taught)), student=dict(enumerate(seen)), teacher=dict(enumerate(shown))
        )
        losses = self.with_branches(losses, inputs, targets)
        self._move_centre(torch.cat(taught))  # last: every loss of a step sees the same centre
        return losses

    def dense_features(self, images: Tensor, **mixing: Any) -> Float[Tensor, 'n k h w']:
        """Student scores (n, K, h, w); BatchNorm does not remember these images."""
        with frozen_running_stats(self.backbone, self.neck):
            scores: Tensor = self.head.scores(self.neck(self.backbone(images)))
        return scores

    @torch.no_grad()
    def dense_targets(self, images: Tensor, reused: Any) -> Float[Tensor, 'n k h w']:
        """Teacher scores (n, K, h, w) of redrawn key views."""
        with frozen_running_stats(self.teacher):
            return self._encode(self.teacher, images)[1]

    def dense_loss(
        self,
        features: Float[Tensor, 'n k h w'],
        targets: Float[Tensor, 'n k h w'],
        foreground: Foreground,
    ) -> Float[Tensor, '']:
        """Cross entropy of the assignments of foreground cells; mean per sample, then of samples.

        A sample without foreground counts as 0.
        """
        cells = foreground.chosen(*features.shape[2:])
        student, teacher = (
            cells.rows(maps.flatten(2).transpose(1, 2)) for maps in (features, targets)
        )  # (M, K)
        wanted = ((teacher - self.centre) / self.teacher_temperature).softmax(dim=1)
        losses = assignment_cross_entropy(wanted, student, temperature=self.student_temperature)
        return (losses * cells.weights.to(losses.dtype)).sum()

    @staticmethod
    def _encode(net: Any, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Slots (N, K, D), scores (N, K, h, w), map (N, C, h, w) of the host's or its teacher's."""
        maps = net.backbone(images)
        return (*net.head(net.neck(maps)), maps[-1])

    @torch.no_grad()
    def _teach(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self._encode(self.teacher, images)

    def _grouping(self, student: Tensor, teacher: Tensor, counts: Tensor) -> Tensor:
        return grouping_loss(
            student,
            teacher,
            self.centre,
            counts,
            student_temperature=self.student_temperature,
            teacher_temperature=self.teacher_temperature,
        )

    @torch.no_grad()
    def _move_centre(self, scores: Float[Tensor, 'n k h w']) -> None:
        """Towards the mean over all cells of all processes."""
        mean = scores.mean(dim=(0, 2, 3))[None]  # (1, K)
        all_reduce(mean, 'mean')
        self.centre.lerp_(mean.to(self.centre.dtype), 1 - self.centre_momentum)

"""PixPro: pixel-to-propagation consistency, CVPR 2021 (arXiv 2011.10043).

Two views of an image become maps. A cell of the student's map, smoothed by the cells that resemble
it (:class:`PixelPropagation`, y), shall point where the teacher's cells (EMA, z) point that lie
nearly at the same place of the image; there are no negatives. Two cells are a pair if the distance
of their centres is below 0.7 of a cell's diagonal, the larger one of the two views:

    L = sum over both directions of  -2 * mean over images of mean over pairs of cos(y_i, z_j).

L lies in [-4, 4]; an image without a pair counts as 0. Where paper and code part
(docs/paper_and_code.md) this is the code: the 2, unit vectors within the propagation, and distances
in the unit square, whatever the shape of the image. As there, each net normalises every view by its
own batch statistics, and the teacher moves just before its pass, along a cosine that counts the
images that an incomplete last batch loses. The optional instance branch of the code pulls the
pooled vectors of whole views together; it has a projector and a predictor of its own.

PixPro-D is this class with a ``DecouplingBranch``; no paper has it. Both views are key views; cell
j of X^D is compared with cell j of its key view,

    L_D = -2 * mean over samples of mean over foreground cells of cos(y_j, z_j),

times the number of key views, the scale of L. The rule of 0.7 has no say there: it would pair
neighbours too. The propagation mixes cells, so that what resembles the foreground flows in from the
background of X^D: ``ppm_scope='all'`` leaves it to the student not to, ``'foreground'`` lets cells
gather from the foreground only.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mmdssl.models.algorithms.base import build_part
from mmdssl.models.algorithms.teacher_student import TeacherStudent
from mmdssl.models.branches.branch import Targets
from mmdssl.models.foreground import Foreground
from mmdssl.models.losses.matched_cosine import paired_cells_loss, region_cosine
from mmdssl.models.utils.batch_statistics import frozen_running_stats
from mmdssl.models.utils.cell_places import (
    CONVENTIONS,
    Convention,
    boxes_of_views,
    cell_distances,
)
from mmdssl.models.utils.setting_checks import SettingChecks
from mmdssl.models.utils.teacher import EMATeacher
from mmdssl.models.utils.two_views import two_views
from mmdssl.registry import MODELS


@MODELS.register_module()
class PixPro(TeacherStudent):
    """PixPro, and with ``decoupling`` PixPro-D.

    Args:
        backbone: Gives one map, e.g. mmpretrain's ``ResNet``.
        neck: Projector of cells, a :class:`PointMLP`; the teacher has one too.
        head: :class:`PixelPropagation`, the student's alone.
        pos_ratio: Cells closer than this share of a cell's diagonal are pairs, > 0.
        coords: How crops become shares of the image: ``'pixpro'``, the code, or ``'edge'``, see
            :mod:`mmdssl.models.utils.cell_places`.
        ppm_scope: From which cells of X^D its cells gather: ``'all'`` or ``'foreground'``.
        instance_weight: Weight of the instance loss; above 0 it needs the next two.
        instance_neck: Projector of the instance branch, a :class:`PointMLP`.
        instance_head: Its predictor, another one.
        momentum: EMA momentum (start, end).
        decoupling: Branch or None; both views are key views by default.
        branches: Further branches, see :class:`BaseDenseSSL`.
        data_preprocessor: Usually a :class:`MultiViewPreprocessor`.
        init_cfg: mmengine initialisation.

    The batch: two entries each of ``inputs['views']`` (N, 3, H, W), ``inputs['crop_box']`` (N, 4)
    float64, x1 y1 x2 y2 in pixels of the image, ``inputs['flip']`` (N, 2) bool and
    ``inputs['ori_shape']`` (N, 2), height and width of the image.
    """

    decoupling_defaults = dict(key_views=(0, 1))
    evaluated_backbone = 'student'
    update_offset = 1
    momentum_counts_dropped = True

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        neck: dict | nn.Module,
        head: dict | nn.Module,
        pos_ratio: float = 0.7,
        coords: Convention = 'pixpro',
        ppm_scope: Literal['all', 'foreground'] = 'all',
        instance_weight: float = 0.0,
        instance_neck: dict | nn.Module | None = None,
        instance_head: dict | nn.Module | None = None,
        momentum: tuple[float, float] = (0.99, 1.0),
        decoupling: dict | None = None,
        branches: Sequence[dict] | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        check = SettingChecks('PixPro')
        check.above('pos_ratio', pos_ratio, 0, float('inf'))
        check.choice('coords', coords, CONVENTIONS)
        check.choice('ppm_scope', ppm_scope, ('all', 'foreground'))
        check.at_least('instance_weight', instance_weight, 0)
        given = instance_neck is not None and instance_head is not None
        if given is not (instance_weight > 0) or (instance_neck is None) is given:
            raise ValueError(
                f'PixPro: instance_weight is {instance_weight}; above 0 give instance_neck and '
                'instance_head, at 0 neither'
            )
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
        self.pos_ratio = pos_ratio
        self.coords = coords
        self.ppm_scope = ppm_scope
        self.instance_weight = instance_weight
        self.instance_neck: Any = None
        self.instance_head: Any = None
        if instance_weight > 0:
            self.instance_neck = build_part(instance_neck)
            self.instance_head = build_part(instance_head)
            self.teacher = EMATeacher(self._led(), train_mode=True)

    def _followed(self) -> dict[str, nn.Module]:
        """The teacher is the backbone with its projectors."""
        parts = {'backbone': self.backbone, 'neck': self.neck}
        instance = getattr(self, 'instance_neck', None)  # not there yet while the base is built
        return parts if instance is None else {**parts, 'instance_neck': instance}

    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """``loss_pixel``, ``loss_instance`` with its weight (and those of branches)."""
        views = two_views(inputs, 'PixPro')
        boxes = boxes_of_views(inputs, convention=self.coords, owner='PixPro')
        maps = [self.backbone(view)[-1] for view in views]  # (N, C, h, w)
        found = [self.head(self.neck(one)) for one in maps]  # (N, D, h, w)
        with torch.no_grad():
            taught = [self.teacher.backbone(view)[-1] for view in views]
            wanted = [self.teacher.neck(one) for one in taught]
        losses = dict(
            loss_pixel=paired_cells_loss(found[0], wanted[1], self.pairs(boxes, found, wanted, 0))
            + paired_cells_loss(found[1], wanted[0], self.pairs(boxes, found, wanted, 1))
        )
        if self.instance_weight:
            losses['loss_instance'] = self.instance_weight * self.instance_loss(maps, taught)
        targets = Targets(
            dict(enumerate(wanted)), student=dict(enumerate(maps)), teacher=dict(enumerate(taught))
        )
        return self.with_branches(losses, inputs, targets)

    def pairs(
        self, boxes: Sequence[Tensor], found: Sequence[Tensor], wanted: Sequence[Tensor], view: int
    ) -> Tensor:
        """Which cells of a student's view belong to which of the teacher's other one.

        Args:
            boxes: Signed boxes (N, 4) of the two views.
            found: Student maps (N, D, h, w) of the views.
            wanted: Teacher maps of the views.
            view: The student's.

        Returns:
            (N, h * w, h' * w') bool.
        """
        height, width = found[view].shape[2:]
        key_height, key_width = wanted[1 - view].shape[2:]
        distances = cell_distances(
            boxes[view], boxes[1 - view], (height, width), (key_height, key_width)
        )
        return distances < self.pos_ratio

    def instance_loss(self, maps: Sequence[Tensor], taught: Sequence[Tensor]) -> Tensor:
        """-2 cos of whole views, both directions, of C5 maps (N, C, h, w) of both nets."""
        found = [self.instance_head(self.instance_neck(one)).mean(dim=(2, 3)) for one in maps]
        with torch.no_grad():
            wanted = [self.teacher.instance_neck(one).mean(dim=(2, 3)) for one in taught]
        both = region_cosine(found[0], wanted[1]) + region_cosine(found[1], wanted[0])  # (N,)
        return -2 * both.mean()

    def dense_features(self, images: Tensor, **mixing: Any) -> Tensor:
        """Student projections (n, D, h, w) before the propagation.

        BatchNorm normalises by these images alone and does not remember them.
        """
        with frozen_running_stats(self.backbone, self.neck):
            projected: Tensor = self.neck(self.backbone(images)[-1])
        return projected

    @torch.no_grad()
    def dense_targets(self, images: Tensor, reused: Tensor) -> Tensor:
        """Teacher projections (n, D, h, w) of redrawn key views."""
        with frozen_running_stats(self.teacher):
            projected: Tensor = self.teacher.neck(self.teacher.backbone(images)[-1])
        return projected

    def dense_loss(self, features: Tensor, targets: Tensor, foreground: Foreground) -> Tensor:
        """-2 cos of foreground cells at equal places, times the key views, see above.

        Mean over the foreground cells of a sample, then over samples; a sample without any
        counts as 0.
        """
        grid = (features.shape[2], features.shape[3])
        keep = foreground.cells(*grid) if self.ppm_scope == 'foreground' else None
        with frozen_running_stats(self.head):
            found = self.head(features, keep)
        cells = foreground.chosen(*grid)
        rows = [cells.rows(x.flatten(2).transpose(1, 2)) for x in (found, targets)]  # (M, D)
        cosine = region_cosine(*rows)  # (M,)
        return -2 * self.directions * (cosine * cells.weights.to(cosine.dtype)).sum()

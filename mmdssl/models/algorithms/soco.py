"""SoCo: object-level contrast of regions, NeurIPS 2021 (arXiv 2106.02637), C4 form.

Two views of an image carry K boxes each, those of the same proposals. A box's vector is cut out
of C4 by RoIAlign and run through ``layer4``, an average pool and a projector; the student adds
a predictor q. With p = q(student), t = teacher (EMA of backbone and projector):

    L = sum over both directions of  -2 * mean over images of mean over matched boxes of cos(p, t)

so L lies in [-4, 4]. As in the official code both nets normalise every view by its own batch
statistics (four separate passes), and the teacher moves just before its pass. Its momentum
follows a cosine whose length is counted in images: epochs * images / (images a step), the last and
incomplete batch of each epoch included, though the loader drops it. Hence a run ends a little
before the cosine does, on COCO with 1024 images a step at 99.6 % of it.

SoCo-D ("Mind Your Augmentation" (ICLR 2024), Sec. 4.2 and App. B) is this class with a
``DecouplingBranch`` whose masks cut the proposals. Its dense loss pairs a box of X^D, pooled
over box AND foreground, with the teacher's vector of the same box of the key view. The paper
prints +cos; here it is -2 cos per key view, added over the key views, the scale of L. The pool
is weighted by the kept share of each cell of ``layer4``'s output, and boxes of which hardly
anything is left are passed over.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mmdssl.models.algorithms.teacher_student import TeacherStudent
from mmdssl.models.branches.branch import Targets
from mmdssl.models.foreground import Foreground
from mmdssl.models.losses.matched_cosine import (
    correspondence,
    matched_cosine_loss,
    region_cosine,
)
from mmdssl.models.utils.batch_statistics import frozen_running_stats
from mmdssl.models.utils.region_features import c4_map, kept_cells, region_vectors
from mmdssl.registry import MODELS


@MODELS.register_module()
class SoCo(TeacherStudent):
    """SoCo, and with ``decoupling`` SoCo-D.

    Args:
        backbone: mmpretrain ``ResNet``; ``layer4`` serves as the head of the regions.
        neck: Projector of region vectors, e.g. mmpretrain's ``NonLinearNeck`` without pooling.
        head: Predictor, the student's alone; another ``NonLinearNeck``.
        roi_size: Cells per side that RoIAlign cuts out of C4; ``layer4`` halves them.
        momentum: EMA momentum (start, end), along a cosine that the dropped images prolong, see
            above; over the iterations where :meth:`check_data` was not called.
        decoupling: Branch or None; both views are key views by default.
        min_kept: Boxes of X^D of which a smaller share is foreground are passed over.
        dense_reduction: L_D is added over the key views as L is over its directions
            (``'sum'``), or their mean (``'mean'``, half as much for two key views).
        branches: Further branches, see :class:`BaseDenseSSL`.
        init: Checkpoint of the backbone to start from, see :class:`BaseDenseSSL`.
        data_preprocessor: Usually a :class:`MultiViewPreprocessor`.
        init_cfg: mmengine initialisation.

    The batch: ``inputs['views']``, two (N, 3, H, W); ``inputs['boxes']``, two (N, K, 4) float32,
    x1 y1 x2 y2 in pixels of the view; ``inputs['box_ids']``, two (N, K) int64, equal for boxes
    of one proposal.
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
        roi_size: int = 14,
        momentum: tuple[float, float] = (0.99, 1.0),
        decoupling: dict | None = None,
        branches: Sequence[dict] | None = None,
        init: str | None = None,
        min_kept: float = 0.05,
        dense_reduction: Literal['sum', 'mean'] = 'sum',
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            backbone=backbone,
            neck=neck,
            head=head,
            decoupling=decoupling,
            branches=branches,
            init=init,
            momentum=momentum,
            teacher_train_mode=True,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        if roi_size < 1:
            raise ValueError(f'SoCo: roi_size is {roi_size}, give at least 1')
        if not 0 <= min_kept < 1:
            raise ValueError(f'SoCo: min_kept is {min_kept}, give a share from 0 to below 1')
        if dense_reduction not in ('sum', 'mean'):
            raise ValueError(f"SoCo: dense_reduction is {dense_reduction!r}, give 'sum' or 'mean'")
        self.roi_size = roi_size
        self.min_kept = min_kept
        self.dense_reduction = dense_reduction

    def _followed(self) -> dict[str, nn.Module]:
        """The teacher is backbone and projector; the predictor belongs to the student."""
        return {'backbone': self.backbone, 'neck': self.neck}

    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """``loss_region`` (and those of branches), each with its weight."""
        views, boxes, ids = self._check(inputs)
        predictions, seen, projections, taught = [], [], [], []
        for view, own in zip(views, boxes, strict=True):
            regions, c4 = self._student(view, own)
            predictions.append(self._predict(regions))  # (N, K, D)
            seen.append(c4)
        for view, own in zip(views, boxes, strict=True):
            regions, c4 = self._teach(view, own)
            projections.append(regions)
            taught.append(c4)
        matches = correspondence(*ids)  # (N, K, K)
        one = matched_cosine_loss(predictions[0], projections[1], matches)
        two = matched_cosine_loss(predictions[1], projections[0], matches.transpose(1, 2))
        losses = dict(loss_region=one + two)
        targets = Targets(
            {view: dict(projection=projections[view], boxes=boxes[view]) for view in range(2)},
            student=dict(enumerate(seen)),
            teacher=dict(enumerate(taught)),
        )
        return self.with_branches(losses, inputs, targets)

    def dense_map(self, backbone: nn.Module, images: Tensor) -> Tensor:
        """C4 (N, C, h, w), of which regions are cut out."""
        return c4_map(backbone, images)

    def dense_features(self, images: Tensor, **mixing: Any) -> tuple[Tensor, torch.Size]:
        """Student C4 map of images (n, 3, H, W), and their size (H, W).

        Leaves the running statistics of BatchNorm alone: X^D is no sample of the data.
        """
        with frozen_running_stats(self.backbone):
            return c4_map(self.backbone, images), images.shape[-2:]

    @torch.no_grad()
    def dense_targets(self, images: Tensor, reused: dict[str, Tensor]) -> dict[str, Tensor]:
        """Teacher projections of redrawn key views (n, 3, H, W), at the boxes of the old ones."""
        with frozen_running_stats(self.teacher):
            return dict(reused, projection=self._teach(images, reused['boxes'])[0])

    def dense_loss(
        self,
        features: tuple[Tensor, torch.Size],
        targets: dict[str, Tensor],
        foreground: Foreground,
    ) -> Tensor:
        """-2 cos per box of X^D that still shows something: mean per image, then over images."""
        c4, size = features
        boxes, keep = targets['boxes'], foreground.keep
        with frozen_running_stats(self.backbone, self.neck, self.head):
            vectors = region_vectors(
                self.backbone,
                c4,
                boxes,
                image_size=size,
                output_size=self.roi_size,
                weights=keep,
            )
            predictions = self._predict(self._project(self.neck, vectors, boxes))
        cosine = region_cosine(predictions, targets['projection'])  # (n, K)
        kept = kept_cells(keep, boxes, image_size=size, output_size=1).view_as(cosine)
        counts = (kept >= self.min_kept).to(cosine.dtype)
        mean = ((cosine * counts).sum(dim=1) / counts.sum(dim=1).clamp_min(1)).mean()
        return -2 * mean * (self.directions if self.dense_reduction == 'sum' else 1)

    def _student(self, images: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Student projections (N, K, D), and the C4 map (N, C, h, w)."""
        return self._regions(self, images, boxes)

    @torch.no_grad()
    def _teach(self, images: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Teacher projections (N, K, D), and the C4 map (N, C, h, w)."""
        return self._regions(self.teacher, images, boxes)

    def _regions(self, net: Any, images: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Of the host's own backbone and neck, or the teacher's."""
        c4 = c4_map(net.backbone, images)
        size = images.shape[-2:]
        vectors = region_vectors(
            net.backbone, c4, boxes, image_size=size, output_size=self.roi_size
        )  # (N * K, C5)
        return self._project(net.neck, vectors, boxes), c4

    @staticmethod
    def _project(neck: nn.Module, vectors: Tensor, boxes: Tensor) -> Tensor:
        """(N * K, C) through the projector to (N, K, D)."""
        return neck((vectors,))[0].unflatten(0, boxes.shape[:2])

    def _predict(self, projections: Tensor) -> Tensor:
        """(N, K, D) through the predictor, same shape."""
        return self.head((projections.flatten(0, 1),))[0].view_as(projections)

    def _check(self, inputs: dict) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """The two views with their boxes and proposal ids."""
        found = [inputs.get(key) for key in ('views', 'boxes', 'box_ids')]
        for key, entry in zip(('views', 'boxes', 'box_ids'), found, strict=True):
            if entry is None or len(entry) < 2:
                have = 'none' if entry is None else f'{len(entry)}'
                raise ValueError(
                    f'SoCo: the batch needs {key!r} of two views and has {have}; build the views '
                    "with CommonBoxViews and pack 'boxes' and 'box_ids'"
                )
        views, boxes, ids = (list(entry[:2]) for entry in found if entry is not None)
        return views, boxes, ids

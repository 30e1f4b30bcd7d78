"""Self-EMD: BYOL on maps, with optimal transport between cells (arXiv 2011.13677).

Two views of an image become maps; heads are 1x1 convolutions, nothing is pooled. The student's
predictions u of one view are to lie near the teacher's projections v of the other, cell for cell as
the cheapest transport pairs them:

    L = sum over both directions of  2 * mean over images of EMD(u, v)

(:mod:`mmdssl.models.losses.earth_mover`). With maps of a single cell that is BYOL's 2 - 2 cos.

There is no public code, and of the paper we had the abstract and reviews only: cost, marginal
weights and Sinkhorn are theirs, all numbers, the weights' form and the run (BYOL's on COCO) are
ours. Crops of a third size and pyramid crops of the paper are not here.

Self-EMD-D (no paper has it; ours): cell j of X^D against cell j of its key view, 2 - 2 cos, which
is the transport that stays in its place; mean over the foreground cells of a sample, then over
samples. ``objective='emd'`` of the branch transports among the foreground cells of both instead.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mmdssl.models.algorithms.teacher_student import TeacherStudent
from mmdssl.models.branches.branch import Targets
from mmdssl.models.foreground import Foreground
from mmdssl.models.losses.earth_mover import earth_movers_distance
from mmdssl.models.losses.matched_cosine import region_cosine
from mmdssl.models.objectives import Objective
from mmdssl.models.utils.batch_statistics import frozen_running_stats
from mmdssl.models.utils.setting_checks import SettingChecks
from mmdssl.models.utils.two_views import two_views
from mmdssl.registry import MODELS


@MODELS.register_module()
class SelfEMD(TeacherStudent):
    """Self-EMD, and with ``decoupling`` Self-EMD-D.

    Args:
        backbone: Gives maps, of which the last is used, e.g. mmpretrain's ``ResNet``.
        neck: Projector of the cells, a :class:`PointMLP`.
        head: Predictor of the cells, the student's alone: another :class:`PointMLP`.
        epsilon: Of the transport, > 0.
        rounds: Of Sinkhorn, at least 1.
        weight_floor: Least weight of a cell before normalisation, > 0.
        momentum: EMA momentum (start, end).
        decoupling: Branch or None; both views are key views by default.
        branches: Further branches, see :class:`BaseDenseSSL`.
        data_preprocessor: Usually a :class:`MultiViewPreprocessor`.
        init_cfg: mmengine initialisation.

    The batch: ``inputs['views']``, two (N, 3, H, W).
    """

    decoupling_defaults = dict(key_views=(0, 1))
    further_objectives = ('emd',)
    evaluated_backbone = 'student'

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        neck: dict | nn.Module,
        head: dict | nn.Module,
        epsilon: float = 0.05,
        rounds: int = 10,
        weight_floor: float = 1e-3,
        momentum: tuple[float, float] = (0.99, 1.0),
        decoupling: dict | None = None,
        branches: Sequence[dict] | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        check = SettingChecks('SelfEMD')
        check.above('epsilon', epsilon, 0, float('inf'))
        check.above('weight_floor', weight_floor, 0, float('inf'))
        check.at_least('rounds', rounds, 1)
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
        self.transport: dict[str, Any] = dict(epsilon=epsilon, rounds=rounds, floor=weight_floor)

    def _followed(self) -> dict[str, nn.Module]:
        """The teacher is backbone and projector; the predictor belongs to the student."""
        return {'backbone': self.backbone, 'neck': self.neck}

    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """``loss_emd`` (and those of branches), each with its weight."""
        views = two_views(inputs, 'SelfEMD')
        given, seen = zip(*(self._predict(view) for view in views), strict=True)
        taught, shown = zip(*(self._teach(view) for view in views), strict=True)
        distances = [
            earth_movers_distance(given[v].flatten(2), taught[1 - v].flatten(2), **self.transport)
            for v in range(2)
        ]
        losses = dict(loss_emd=2 * (distances[0] + distances[1]).mean())
        targets = Targets(
            dict(enumerate(taught)), student=dict(enumerate(seen)), teacher=dict(enumerate(shown))
        )
        return self.with_branches(losses, inputs, targets)

    def dense_features(self, images: Tensor, **mixing: Any) -> Float[Tensor, 'n d h w']:
        """Student predictions (n, D, h, w); BatchNorm does not remember these images."""
        with frozen_running_stats(self.backbone, self.neck, self.head):
            return self._predict(images)[0]

    @torch.no_grad()
    def dense_targets(self, images: Tensor, reused: Any) -> Float[Tensor, 'n d h w']:
        """Teacher projections (n, D, h, w) of redrawn key views."""
        with frozen_running_stats(self.teacher):
            return self._teach(images)[0]

    def dense_loss(
        self,
        features: Float[Tensor, 'n d h w'],
        targets: Float[Tensor, 'n d h w'],
        foreground: Foreground,
        *,
        objective: Objective = 'point',
    ) -> Float[Tensor, '']:
        """2 - 2 cos at equal cells of the foreground, mean per sample, then over samples.

        ``'emd'``: twice the distance of the foregrounds. A sample without one counts as 0.
        """
        grid = features.shape[2:]
        if objective == 'emd':
            keep = foreground.cells(grid[0], grid[1]).flatten(1)
            distances = earth_movers_distance(
                features.flatten(2), targets.flatten(2), keep=keep, **self.transport
            )
            return 2 * distances.mean()
        cells = foreground.chosen(grid[0], grid[1])
        own, same = (cells.rows(x.flatten(2).transpose(1, 2)) for x in (features, targets))
        cosine = region_cosine(own, same)  # (M,)
        return ((2 - 2 * cosine) * cells.weights.to(cosine.dtype)).sum()

    def _predict(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Student predictions (N, D, h, w), and the backbone's map (N, C, h, w)."""
        maps = self.backbone(images)
        return self.head(self.neck(maps)), maps[-1]

    @torch.no_grad()
    def _teach(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Teacher projections (N, D, h, w), and the backbone's map (N, C, h, w)."""
        maps = self.teacher.backbone(images)
        return self.teacher.neck(maps), maps[-1]

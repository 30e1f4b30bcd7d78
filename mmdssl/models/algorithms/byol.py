"""BYOL: bootstrap your own latent, NeurIPS 2020 (arXiv 2006.07733).

Two views of an image; the student predicts the teacher's (EMA) vector of the other view, without
negatives. With f the backbone, g the projector, q the student's predictor, and the mean taken over
the cells of a map,

    L = sum over both directions of
            -2 * mean over images of cos(q(g(mean f(x))), g_t(mean f_t(x'))),

in [-4, 4], the squared distance of unit vectors without its constant. Networks, heads and loss are
those of mmpretrain's ``BYOL``; each view passes by itself, the teacher normalises by its own
batches, and every net has its own BatchNorm statistics.

The teacher's momentum in step k follows a cosine of k (mmpretrain, which moves it before its pass)
or of k - 1 (ORL, NeurIPS 2021, from which the COCO settings come: it moves after the optimizer's
step). The moment is the same: between two student updates.

BYOL has no dense loss. BYOL-D, of this package, is this class with a ``DecouplingBranch``:
projector and predictor read single cells, as maps of one cell, and for cell j of the foreground

    L_D = -2 * mean over samples of mean over cells of cos(q(g(f_j(X^D))), g_t(f_t,j(X))),

times the number of key views, the scale of L. Nothing is added to the networks; the teacher's maps
of X are those that the main loss needs anyway. Cells are chosen before the projector, so that its
BatchNorm, which counts cells as samples then, sees the foreground alone.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mmdssl.models.algorithms.teacher_student import TeacherStudent
from mmdssl.models.branches.branch import Targets
from mmdssl.models.foreground import Foreground
from mmdssl.models.losses.matched_cosine import region_cosine
from mmdssl.models.utils.batch_statistics import frozen_running_stats
from mmdssl.models.utils.setting_checks import SettingChecks
from mmdssl.models.utils.two_views import two_views
from mmdssl.registry import MODELS


@MODELS.register_module()
class BYOL(TeacherStudent):
    """BYOL, and with ``decoupling`` BYOL-D.

    Args:
        backbone: Gives one map, e.g. mmpretrain's ``ResNet``.
        neck: Projector of maps, mmpretrain's ``NonLinearNeck`` with its average pool.
        head: mmpretrain's ``LatentPredictHead`` with a predictor without pooling and
            ``CosineSimilarityLoss``; the student's alone.
        momentum: EMA momentum (start, end).
        momentum_step: Whose momentum the update after step k has: that of step ``'next'`` (k + 1,
            mmpretrain) or of the ``'same'`` step (ORL).
        decoupling: Branch or None; both views are key views by default.
        branches: Further branches, see :class:`BaseDenseSSL`.
        data_preprocessor: Usually a :class:`MultiViewPreprocessor`.
        init_cfg: mmengine initialisation.

    The batch: ``inputs['views']``, two (N, 3, H, W).
    """

    decoupling_defaults = dict(key_views=(0, 1))
    evaluated_backbone = 'student'

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        neck: dict | nn.Module,
        head: dict | nn.Module,
        momentum: tuple[float, float] = (0.99, 1.0),
        momentum_step: Literal['next', 'same'] = 'next',
        decoupling: dict | None = None,
        branches: Sequence[dict] | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        SettingChecks('BYOL').choice('momentum_step', momentum_step, ('next', 'same'))
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
        self.update_offset = int(momentum_step == 'next')

    def _followed(self) -> dict[str, nn.Module]:
        """The teacher is backbone and projector; the predictor belongs to the student."""
        return {'backbone': self.backbone, 'neck': self.neck}

    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """``loss_byol`` (and those of branches), each with its weight."""
        views = two_views(inputs, 'BYOL')
        maps = [self.backbone(view)[-1] for view in views]  # (N, C, h, w)
        projected = [self.neck((one,))[0] for one in maps]  # (N, D)
        with torch.no_grad():
            taught = [self.teacher.backbone(view)[-1] for view in views]
            wanted = [self.teacher.neck((one,))[0] for one in taught]
        halves = [self.head.loss(projected[view], wanted[1 - view]) for view in (0, 1)]
        targets = Targets(
            dict(enumerate(taught)), student=dict(enumerate(maps)), teacher=dict(enumerate(taught))
        )
        return self.with_branches(dict(loss_byol=2 * (halves[0] + halves[1])), inputs, targets)

    def dense_features(self, images: Tensor, **mixing: Any) -> Tensor:
        """Student map (n, C, h, w); BatchNorm does not remember these images."""
        with frozen_running_stats(self.backbone):
            found: Tensor = self.backbone(images)[-1]
        return found

    @torch.no_grad()
    def dense_targets(self, images: Tensor, reused: Tensor) -> Tensor:
        """Teacher maps (n, C, h, w) of redrawn key views."""
        with frozen_running_stats(self.teacher):
            found: Tensor = self.teacher.backbone(images)[-1]
        return found

    def dense_loss(self, features: Tensor, targets: Tensor, foreground: Foreground) -> Tensor:
        """-2 cos of foreground cells at equal places, times the key views, see above.

        Mean over the foreground cells of a sample, then over samples; a sample without any counts
        as 0, and so do all where a single cell is left, of which BatchNorm can make nothing.
        """
        cells = foreground.chosen(features.shape[2], features.shape[3])
        # (n, C, h, w) -> (M, C, 1, 1)
        student, teacher = (
            cells.rows(x.flatten(2).transpose(1, 2))[:, :, None, None] for x in (features, targets)
        )
        if len(student) < 2:
            return features.sum() * 0
        with frozen_running_stats(self.neck, self.head, self.teacher.neck):
            found = self.head.predictor(self.neck((student,)))[0]  # (M, D)
            with torch.no_grad():
                wanted = self.teacher.neck((teacher,))[0]
        cosine = region_cosine(found, wanted)
        return -2 * self.directions * (cosine * cells.weights.to(cosine.dtype)).sum()

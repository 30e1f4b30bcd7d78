"""ReSim: region similarity, ICCV 2021 (arXiv 2103.12902).

MoCo v2 with windows. Of two views of an image the student encodes the query, the teacher (EMA) the
key. Beside the vectors of whole views, windows of a fixed grid on the query are found again in the
key by geometry; what a map has in a window shall be like its counterpart and unlike all windows of
all keys of the batch. With q the student's mean over a window, brought to unit length, k+ the
teacher's over the same window of the key, and n its 3x3 means of cells,

    L = NCE(v, v+ | queue) + sum over levels of  mean over windows of NCE(q, k+ | n),

on a map of 1/16 (windows of 48 px, n of all processes) and on one of 1/8 (32 px, n of the own
process), at temperature 0.2. A window counts where the key shows all of it; the mean is over those
of the process. Means are exact integrals (:func:`window_means`). The images that n comes from
include the own one. Both views are mirrored or neither, which is decided before they are cropped.

``WindowPyramid(levels=('c4',))`` is the C4 form, of which the authors released weights only.

ReSim-D is this class with a ``DecouplingBranch``; no paper has it. X^D shows the key view, and the
grid of windows lies on both: the student's mean over a window is weighted by the kept share of each
cell of the map (box AND foreground, as in SoCo-D), windows of which less than ``min_kept`` is
foreground are passed over, and the negatives are those of the step:

    L_D = sum over levels of  mean over samples of mean over windows of NCE(q(X^D), k+(X) | n).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmengine import dist
from torch import Tensor, nn

from mmdssl.models.algorithms.teacher_student import TeacherStudent
from mmdssl.models.branches.branch import Targets
from mmdssl.models.foreground import Foreground
from mmdssl.models.losses.info_nce import info_nce
from mmdssl.models.utils.batch_statistics import frozen_running_stats
from mmdssl.models.utils.cell_places import boxes_of_views
from mmdssl.models.utils.collectives import all_gather, shuffle_batch, unshuffle_batch
from mmdssl.models.utils.host_copies import HostCopies, move
from mmdssl.models.utils.precision import unit, wide
from mmdssl.models.utils.queue import KeyQueue
from mmdssl.models.utils.setting_checks import SettingChecks
from mmdssl.models.utils.two_views import two_views
from mmdssl.models.utils.windows import grid_windows, same_windows, window_means
from mmdssl.registry import MODELS

#: Size and stride of the windows of each level, in pixels of a view.
WINDOWS = {'c4': (48, 32), 'c3': (32, 24)}


class Seen(NamedTuple):
    """What an encoder makes of N images.

    Attributes:
        vector: (N, D) unit vectors of the images.
        levels: Maps (N, C, h, w) of the pyramid.
        cells: (N, C, h, w) the backbone's last map.
    """

    vector: Tensor
    levels: tuple[Tensor, ...]
    cells: Tensor


@MODELS.register_module()
class ReSim(TeacherStudent):
    """ReSim, and with ``decoupling`` ReSim-D.

    Args:
        backbone: Gives the maps that the head needs, e.g. mmpretrain's ``ResNet`` with
            ``out_indices=(1, 2, 3)``; the last is C5.
        neck: Projector of the image, mmpretrain's ``MoCoV2Neck``.
        head: :class:`WindowPyramid`; the teacher has one too.
        temperature: t of InfoNCE, > 0.
        queue_length: Keys of the image loss; :meth:`check_data` shortens it to what the data and
            the batch allow.
        shuffle_bn: As for :class:`DenseCL`.
        min_kept: Windows of X^D of which a smaller share is foreground are passed over.
        momentum: EMA momentum (start, end).
        decoupling: Branch or None; the key view (1) by default.
        branches: Further branches, see :class:`BaseDenseSSL`.
        data_preprocessor: Usually a :class:`MultiViewPreprocessor`.
        init_cfg: mmengine initialisation.

    The batch: ``inputs['views']`` = [query, key], each (N, 3, H, W), and for both
    ``inputs['crop_box']`` (N, 4) float64, x1 y1 x2 y2 in pixels of the image, and
    ``inputs['flip']`` (N, 2) bool.
    """

    decoupling_defaults = dict(key_views=(1,))
    evaluated_backbone = 'student'
    update_offset = 1
    requires_drop_last = True

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        neck: dict | nn.Module,
        head: dict | nn.Module,
        temperature: float = 0.2,
        queue_length: int = 65536,
        shuffle_bn: bool = True,
        min_kept: float = 0.5,
        momentum: tuple[float, float] = (0.999, 0.999),
        decoupling: dict | None = None,
        branches: Sequence[dict] | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        SettingChecks('ReSim').above('min_kept', min_kept, 0, 1)
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
        self.temperature = temperature
        self.shuffle_bn = shuffle_bn
        self.min_kept = min_kept
        self.queue = KeyQueue(dim=self.neck.mlp[-1].out_features, length=queue_length)
        self._negatives: list[Tensor] = []  # (C, K) of each level, in this step

    def check_data(self, *, batch_size: int, num_images: int) -> None:
        """Fit the queue to the data, see :meth:`KeyQueue.fit`."""
        super().check_data(batch_size=batch_size, num_images=num_images)
        self.queue.fit(per_step=batch_size * dist.get_world_size(), available=num_images)

    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """``loss_image``, ``loss_c4``, ``loss_c3`` (and those of branches)."""
        views = two_views(inputs, 'ReSim', 'query and key')
        query = self._see(self.backbone, self.neck, self.head, views[0])
        key = self._teach(views[1])
        return self._losses(query, key, inputs)

    def _losses(self, query: Seen, key: Seen, inputs: dict) -> dict[str, Tensor]:
        """All losses of a batch that both nets have seen; fills the queue."""
        image = info_nce(query.vector, key.vector, self.queue.keys, self.temperature)
        losses = dict(loss_image=image.mean())
        self._negatives = []
        sizes = [(view.shape[2], view.shape[3]) for view in inputs['views'][:2]]
        # Where the windows lie is asked where it is known soonest.
        known = {key: HostCopies.of(inputs, key) for key in ('crop_box', 'flip') if key in inputs}
        boxes = boxes_of_views(known, convention=None, owner='ReSim')
        for level, one, other in zip(self.head.levels, query.levels, key.levels, strict=True):
            windows = _windows(level, sizes[0])
            self._negatives.append(self._keys_of(other, everywhere=level == 'c4'))
            losses[f'loss_{level}'] = self._window_loss(windows, one, other, boxes, sizes)
        targets = Targets({1: key.levels}, student={0: query.cells}, teacher={1: key.cells})
        losses = self.with_branches(losses, inputs, targets)
        self.queue.enqueue(key.vector)  # last: every loss of a step sees the same negatives
        return losses

    def _window_loss(
        self,
        windows: Tensor,
        query: Tensor,
        key: Tensor,
        boxes: Sequence[Tensor],
        sizes: Sequence[tuple[int, int]],
    ) -> Tensor:
        """Mean InfoNCE of the windows of maps (N, C, h, w) that both views show; 0 for none."""
        device = query.device
        windows = windows.to(boxes[0].device)
        theirs, valid = same_windows(windows, *boxes, query_size=sizes[0], key_size=sizes[1])
        mine = windows.expand(len(query), -1, -1)
        chosen = move(valid.flatten().nonzero()[:, 0], device)  # (M,)
        mine, theirs = (
            window_means(maps, move(place, device), scale=_scale(maps, size))
            .flatten(0, 1)  # (N, K, C) -> (N*K, C)
            .index_select(0, chosen)
            for maps, place, size in ((query, mine, sizes[0]), (key, theirs, sizes[1]))
        )
        if not len(chosen):
            return query.sum() * 0
        mine, theirs = F.normalize(mine, dim=1), F.normalize(theirs, dim=1)
        return info_nce(mine, theirs, self._negatives[-1], self.temperature).mean()

    @staticmethod
    def _keys_of(maps: Tensor, *, everywhere: bool) -> Tensor:
        """Unit 3x3 means (C, N*(h-2)*(w-2)) of maps (N, C, h, w), of all processes if asked."""
        means = unit(F.avg_pool2d(wide(maps), 3, 1), dim=1)
        rows = means.flatten(2).transpose(1, 2).flatten(0, 1)  # image, row, column
        return (all_gather(rows) if everywhere else rows).T

    def dense_features(
        self, images: Tensor, **mixing: Any
    ) -> tuple[tuple[Tensor, ...], tuple[int, int]]:
        """Student maps (n, C, h, w) of the levels, and the size (H, W) of the images.

        BatchNorm normalises by these images alone and does not remember them.
        """
        with frozen_running_stats(self.backbone, self.head):
            return self.head(self.backbone(images)), (images.shape[2], images.shape[3])

    @torch.no_grad()
    def dense_targets(self, images: Tensor, reused: Any) -> tuple[Tensor, ...]:
        """Teacher maps of redrawn key views (n, 3, H, W)."""
        with frozen_running_stats(self.teacher):
            maps: tuple[Tensor, ...] = self.teacher.head(self.teacher.backbone(images))
        return maps

    def dense_loss(
        self,
        features: tuple[tuple[Tensor, ...], tuple[int, int]],
        targets: tuple[Tensor, ...],
        foreground: Foreground,
    ) -> Tensor:
        """InfoNCE of the grid's windows in the foreground, see above, with the step's negatives."""
        found, size = features
        total: Tensor = found[0].new_zeros(())
        levels = zip(self.head.levels, found, targets, self._negatives, strict=True)
        for level, student, teacher, negatives in levels:
            place = move(_windows(level, size), student.device).expand(len(student), -1, -1)
            scale = _scale(student, size)
            share = foreground.share(student.shape[2], student.shape[3])  # (n, h, w)
            query = window_means(student, place, scale=scale, weights=share)
            key = window_means(teacher, place, scale=scale)
            kept = window_means(share[:, None], place, scale=scale)[..., 0]  # (n, K)
            query, key = (F.normalize(one, dim=2).flatten(0, 1) for one in (query, key))
            losses = info_nce(query, key, negatives, self.temperature).view_as(kept)
            counts = (kept >= self.min_kept).to(losses.dtype)
            each = (losses * counts).sum(dim=1) / counts.sum(dim=1).clamp_min(1)
            total = total + each.mean()
        return total

    def _see(self, backbone: nn.Module, neck: nn.Module, head: nn.Module, images: Tensor) -> Seen:
        maps = backbone(images)
        vector = F.normalize(neck((maps[-1],))[0], dim=1)
        return Seen(vector, head(maps), maps[-1])

    @torch.no_grad()
    def _teach(self, images: Tensor) -> Seen:
        """Keys of this process's images, computed in batches shuffled over all processes."""
        parts = self.teacher.backbone, self.teacher.neck, self.teacher.head
        if not self.shuffle_bn or dist.get_world_size() == 1:
            return self._see(*parts, images)
        shuffled, order = shuffle_batch(images)
        seen = self._see(*parts, shuffled)
        return Seen(
            unshuffle_batch(seen.vector, order),
            tuple(unshuffle_batch(maps, order) for maps in seen.levels),
            unshuffle_batch(seen.cells, order),
        )


def _windows(level: str, size: tuple[int, int]) -> Tensor:
    """The windows (K, 4) of a level on a view of (H, W) pixels."""
    side, stride = WINDOWS[level]
    windows = grid_windows(*size, size=side, stride=stride)
    if not len(windows):
        raise ValueError(
            f'ReSim: a view of {size[0]} x {size[1]} pixels has no room for a window of {side} px '
            f'of level {level!r}; give larger views'
        )
    return windows


def _scale(maps: Tensor, size: tuple[int, int]) -> tuple[float, float]:
    """Cells of a map a pixel of its view, of rows and of columns."""
    return maps.shape[2] / size[0], maps.shape[3] / size[1]

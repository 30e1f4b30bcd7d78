"""DenseCL: dense contrastive learning, CVPR 2021 (arXiv 2011.09157), and MoCo v2.

Two views of an image; the student encodes the query view, the teacher, its EMA, the key
view. Both give a vector q of the image and one vector r_i of each cell i of the last
feature map. With InfoNCE against a queue of keys from earlier batches:

    L_q = NCE(q, k+)                        k+: the image vector of the key view
    L_r = mean over cells i of NCE(r_i, t_c(i))    t: cell vectors of the key view
    c(i) = argmax_j cos(f_i, f'_j)          f, f': backbone features of the cells
    L   = (1 - lambda) L_q + lambda L_r

The negatives of L_q are earlier image vectors, those of L_r earlier means over the cells
of an image, taken before normalisation. lambda = 0 is MoCo v2 (arXiv 2003.04297).

A young network can tell an earlier key from a present one by its age: where it moves fast, all
vectors drift together, away from what the queue holds, the loss falls and nothing about images
is learnt (docs/LOG.md has it measured). ``negatives='batch'`` takes the keys of the other images
of the same step instead, as SimCLR and MoCo v3 (arXiv 2104.02057) do.

DenseCL-D ("Mind Your Augmentation", ICLR 2024) is this class with a ``DecouplingBranch``:
X^D is made from the key view and passes the student alone, in a batch of its own; each
foreground cell j of it is matched with cell j of the key view, without any search, and
the loss is averaged over the foreground cells of a sample, then over samples. Nothing of
X^D enters a queue or the running statistics of BatchNorm. One pass of X^D and the query
together, whose BatchNorm would mix both, is not offered.

``correspondence='place'`` is the point-level baseline of "De-coupling and De-positioning Dense
Self-supervised Learning", Sec. 3, of which the paper says no more than that positive pairs come
from absolute coordinates: c(i) is the cell of the key view at the place of the image that cell i
shows, and L_r the mean over the cells of the batch that the key view shows. The rest is DenseCL.

The queues fit their length to the data.
"""

# Beside the official code: the teacher is updated after the optimizer step instead of before its
# own forward pass, which is the same moment; the logits are never held all at once.

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from mmengine import dist
from torch import Tensor, nn

from mmdssl.core.step_generator import CORRESPONDENCE, step_generator
from mmdssl.models.algorithms.teacher_student import TeacherStudent
from mmdssl.models.branches.branch import Targets
from mmdssl.models.chosen_cells import per_sample_weights
from mmdssl.models.correspondence import (
    MATCHES,
    Match,
    Rule,
    check_rule,
    match_cells,
    match_places,
)
from mmdssl.models.foreground import Foreground
from mmdssl.models.losses.info_nce import info_nce
from mmdssl.models.objectives import Objective, unit_mean_of_samples
from mmdssl.models.utils.batch_negatives import (
    Negatives,
    check_negatives,
    check_other_images,
    keys_of_step,
)
from mmdssl.models.utils.batch_statistics import frozen_running_stats
from mmdssl.models.utils.cell_places import Convention, boxes_of_views
from mmdssl.models.utils.collectives import (
    all_reduce,
    shuffle_batch,
    unshuffle_batch,
)
from mmdssl.models.utils.queue import KeyQueue
from mmdssl.models.utils.two_views import two_views
from mmdssl.registry import MODELS


class Encoded(NamedTuple):
    """What an encoder makes of N images of S cells; S is 0 without a dense branch.

    Attributes:
        vector: (N, D) unit vectors of the images.
        grid: (N, D, S) unit vectors of the cells.
        pooled: (N, D) normalised means of the cells' vectors before normalisation.
        cells: (N, C, h, w) backbone features of the cells.
        raw: ``grid`` before normalisation, for positives between cells; else (N, D, 0).
    """

    vector: Tensor
    grid: Tensor
    pooled: Tensor
    cells: Tensor
    raw: Tensor


@MODELS.register_module()
class DenseCL(TeacherStudent):
    """DenseCL, with ``decoupling`` DenseCL-D, with ``loss_lambda=0`` MoCo v2.

    Args:
        backbone: Gives one feature map, e.g. mmpretrain's ``ResNet``.
        neck: mmpretrain's ``DenseCLNeck`` without ``num_grid``. With
            ``loss_lambda=0`` its config is read as that of a ``MoCoV2Neck``, which is
            its global half; the dense half is not built.
        loss_lambda: lambda in [0, 1], the weight of the dense loss.
        temperature: t of InfoNCE.
        negatives: ``'queue'``: keys of earlier batches (the paper); ``'batch'``: those of the
            other images of the step, over all processes; there are no queues then.
        queue_length: Keys held by each queue; :meth:`check_data` shortens it to what
            the data and the batch allow.
        correspondence: 1: the most similar cell (DenseCL); n: the n-th most similar;
            ``'random'``: any cell; ``'place'``: what lies at the same place of the image.
        match: With ``'place'``, which vectors those are: ``'nearest'``, ``'bilinear'`` or
            ``'pixpro'``, see :func:`match_places`.
        shuffle_bn: On several processes, give the teacher the images of all of them in
            a random order, so that BatchNorm cannot reveal which key belongs to which
            query (MoCo, CVPR 2020, Sec. 3.3).
        momentum: EMA momentum (start, end).
        decoupling: Branch or None. The defaults for DenseCL: the key view (1), mixed
            pixels.
        branches: Further branches, see :class:`BaseDenseSSL`.
        init: Checkpoint of the backbone to start from, see :class:`BaseDenseSSL`.
        data_preprocessor: Usually a :class:`MultiViewPreprocessor`.
        init_cfg: mmengine initialisation.

    The batch: ``inputs['views']`` = [query, key], each (N, 3, H, W). With ``'place'`` also, for
    each view, ``inputs['crop_box']`` (N, 4) float64, x1 y1 x2 y2 in pixels of the image,
    ``inputs['flip']`` (N, 2) bool and, for ``'pixpro'``, ``inputs['ori_shape']`` (N, 2), height and
    width of the image.
    """

    decoupling_defaults = dict(mix_level='pixel', key_views=(1,))
    further_objectives = ('average', 'all')
    evaluated_backbone = 'student'
    update_offset = 1
    requires_drop_last = True

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        neck: dict | nn.Module,
        loss_lambda: float = 0.5,
        temperature: float = 0.2,
        negatives: Negatives = 'queue',
        queue_length: int = 65536,
        correspondence: Rule | Literal['place'] = 1,
        match: Match = 'nearest',
        shuffle_bn: bool = True,
        momentum: tuple[float, float] = (0.999, 0.999),
        decoupling: dict | None = None,
        branches: Sequence[dict] | None = None,
        init: str | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        if not 0 <= loss_lambda <= 1:
            raise ValueError(f'DenseCL: loss_lambda is {loss_lambda}, give a number from 0 to 1')
        check_negatives('DenseCL', negatives)
        if correspondence != 'place':
            check_rule(correspondence)
        if match not in MATCHES or (match != 'nearest' and correspondence != 'place'):
            raise ValueError(
                f'DenseCL: match is {match!r}, give one of {", ".join(map(repr, MATCHES))}, and '
                f"correspondence='place' (it is {correspondence!r})"
            )
        super().__init__(
            backbone=backbone,
            neck=neck if loss_lambda else _global_half(neck),
            decoupling=decoupling,
            branches=branches,
            init=init,
            momentum=momentum,
            teacher_train_mode=True,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        if self.decoupling is not None and loss_lambda == 0:
            raise ValueError(
                'DenseCL: decoupling needs the dense branch, which loss_lambda=0 (MoCo v2) leaves '
                'out; set loss_lambda above 0 or decoupling=None'
            )
        self._check_parts()
        self.loss_lambda = loss_lambda
        self.temperature = temperature
        self.correspondence = correspondence
        self.match = match
        self.shuffle_bn = shuffle_bn
        dim = self.neck.mlp[-1].out_features
        self.negatives = negatives
        self._step_keys: dict[str, Tensor] = {}  # (D, K) each, with negatives='batch'
        if negatives == 'queue':
            self.queue = KeyQueue(dim=dim, length=queue_length, name='queue')
            if loss_lambda:
                self.dense_queue = KeyQueue(dim=dim, length=queue_length, name='dense_queue')

    def check_data(self, *, batch_size: int, num_images: int) -> None:
        """Fit the queues to the data, see :meth:`KeyQueue.fit`."""
        super().check_data(batch_size=batch_size, num_images=num_images)
        per_step = batch_size * dist.get_world_size()
        if self.negatives == 'batch':
            check_other_images('DenseCL', per_step)
            return
        for queue in (self.queue, self.dense_queue) if self.loss_lambda else (self.queue,):
            queue.fit(per_step=per_step, available=num_images)

    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """``loss_single``, ``loss_dense`` (and those of branches), each with its weight."""
        views = two_views(inputs, 'DenseCL', 'query and key')
        query = self._encode(self.backbone, self.neck, views[0])
        key = self._teach(views[1])
        own = self._take_step_keys(key)
        single = self._contrast(query.vector, key.vector, 'queue', own).mean()
        losses = dict(loss_single=single * (1 - self.loss_lambda))
        if self.loss_lambda:
            cells = None if own is None else own.repeat_interleave(query.grid.shape[2])
            positives, weights = self._positives(query, key, inputs)
            dense = self._contrast(_rows(query.grid), positives, 'dense_queue', cells)
            mean = dense.mean() if weights is None else (dense * weights).sum()
            losses['loss_dense'] = mean * self.loss_lambda
        compared = key.grid if own is None else (key.grid, own)
        targets = Targets({1: compared}, student={0: query.cells}, teacher={1: key.cells})
        losses = self.with_branches(losses, inputs, targets)
        if self.negatives == 'queue':  # last: every loss of a step sees the same negatives
            self.queue.enqueue(key.vector)
            if self.loss_lambda:
                self.dense_queue.enqueue(key.pooled)
        return losses

    def dense_features(self, images: Tensor, **mixing: Any) -> tuple[Tensor, tuple[int, int]]:
        """Student vectors (n, D, S) of the cells, and the grid (h, w) they form.

        BatchNorm normalises by these images alone and does not remember them.
        """
        with frozen_running_stats(self.backbone, self.neck):
            maps = self.backbone(images)
            grid = F.normalize(self.neck(maps)[1], dim=1)
        return grid, tuple(maps[0].shape[2:])

    @torch.no_grad()
    def dense_targets(self, images: Tensor, reused: Any) -> Any:
        """Teacher vectors (n, D, S) of the cells of redrawn key views, in the form of the first."""
        with frozen_running_stats(self.teacher):
            grid = self._encode(self.teacher.backbone, self.teacher.neck, images).grid
        return grid if self.negatives == 'queue' else (grid, reused[1])

    def dense_loss(
        self,
        features: tuple[Tensor, tuple[int, int]],
        targets: Tensor | tuple[Tensor, Tensor],
        foreground: Foreground,
        *,
        objective: Objective = 'point',
    ) -> Tensor:
        """InfoNCE of foreground cells with the same cell of the key view.

        Mean over the foreground cells of a sample, then over samples; a sample without
        any counts as 0. ``'average'`` compares the normalised means over the foreground,
        ``'all'`` every foreground cell with every one of the same image.
        """
        vectors, grid = features
        own: Tensor | None = None  # (n,) each image's own column of the negatives
        if isinstance(targets, tuple):
            targets, own = targets
        if objective == 'point':
            cells = foreground.chosen(*grid)
            query, key = (cells.rows(x.transpose(1, 2)) for x in (vectors, targets))  # (M, D)
            columns = None if own is None else own[cells.sample]
            losses = self._contrast(query, key, 'dense_queue', columns)
            return (losses * cells.weights.to(losses.dtype)).sum()
        chosen = foreground.cells(*grid).flatten(1)  # (n, S)
        sample, cell = chosen.nonzero(as_tuple=True)  # (M,) each
        query, key = vectors[sample, :, cell], targets[sample, :, cell]  # (M, D)
        columns = None if own is None else own[sample]
        if objective == 'average':
            columns = None if own is None else own[chosen.any(dim=1)]
            size, chosen = len(chosen), chosen.any(dim=1, keepdim=True)  # one cell a sample
            query = unit_mean_of_samples(query, sample, size)[chosen[:, 0]]
            key = unit_mean_of_samples(key, sample, size)[chosen[:, 0]]
        elif objective == 'all':
            key = targets.transpose(1, 2)[sample]  # (M, S, D)
        losses = self._contrast(query, key, 'dense_queue', columns)
        if objective == 'all':
            pairs = chosen[sample]  # (M, S)
            losses = (losses * pairs).sum(dim=1) / pairs.sum(dim=1)
        return (losses * per_sample_weights(chosen, losses.dtype)).sum()

    def _contrast(self, query: Tensor, positive: Tensor, queue: str, own: Tensor | None) -> Tensor:
        """InfoNCE of vectors (M, D) against a queue, or what the step has in its place."""
        keys = self._step_keys[queue] if queue in self._step_keys else getattr(self, queue).keys
        return info_nce(query, positive, keys, self.temperature, own=own)

    def _take_step_keys(self, key: Encoded) -> Tensor | None:
        """Make the keys of all processes the negatives of this step.

        Returns:
            (N,) int64, the columns in which this process's own images stand; None with queues.
        """
        if self.negatives == 'queue':
            return None
        keys, own = keys_of_step(key.vector[:, None])
        self._step_keys = dict(queue=keys, dense_queue=keys_of_step(key.pooled[:, None])[0])
        return own[:, 0]

    def _positives(
        self, query: Encoded, key: Encoded, inputs: dict
    ) -> tuple[Tensor, Tensor | None]:
        """The teacher's vectors (N*S, D) that the query cells are matched with.

        By place several each, perhaps, (N*S, T, D), and what the loss of each counts in the sum;
        None: alike.
        """
        if self.correspondence == 'place':
            return self._positives_by_place(query, key, inputs)
        generator = step_generator(self.clock.iteration, CORRESPONDENCE)
        cells = (encoded.cells.detach().flatten(2) for encoded in (query, key))  # (N, C, S)
        index = match_cells(*cells, rule=self.correspondence, generator=generator)  # (N, S)
        matched = key.grid.gather(2, index[:, None].expand(-1, key.grid.shape[1], -1))
        return _rows(matched), None

    def _positives_by_place(
        self, query: Encoded, key: Encoded, inputs: dict
    ) -> tuple[Tensor, Tensor]:
        convention: Convention | None = 'pixpro' if self.match == 'pixpro' else None
        boxes = boxes_of_views(inputs, convention=convention, owner='DenseCL')
        (rows, columns), (key_rows, key_columns) = query.cells.shape[2:], key.cells.shape[2:]
        found = match_places(
            boxes[0],
            boxes[1],
            key.raw if self.match == 'bilinear' else key.grid,
            query_grid=(rows, columns),
            key_grid=(key_rows, key_columns),
            match=self.match,
        )
        weights = found.weights.flatten(0, 1)  # (N*S,) or (N*S, T)
        counted = weights.sum()
        all_reduce(counted, 'mean')  # the mean over the cells of all processes
        return found.positives.flatten(0, 1), weights / counted.clamp_min(1e-6)

    def _encode(self, backbone: nn.Module, neck: nn.Module, images: Tensor) -> Encoded:
        maps = backbone(images)  # one map (N, C, h, w)
        outputs = neck(maps)
        vector = F.normalize(outputs[0], dim=1)
        if self.loss_lambda == 0:
            none = vector.new_empty(len(vector), 0)
            return Encoded(vector, none[..., None], none, maps[0], none[..., None])
        _, grid, pooled = outputs
        return Encoded(
            vector,
            F.normalize(grid, dim=1),
            F.normalize(pooled, dim=1),
            maps[0],
            grid if self.match == 'bilinear' else grid[..., :0],
        )

    @torch.no_grad()
    def _teach(self, images: Tensor) -> Encoded:
        """Keys of this process's images, computed in batches shuffled over all processes."""
        backbone, neck = self.teacher.backbone, self.teacher.neck
        if not self.shuffle_bn or dist.get_world_size() == 1:
            return self._encode(backbone, neck, images)
        shuffled, order = shuffle_batch(images)
        encoded = self._encode(backbone, neck, shuffled)
        return Encoded(*(unshuffle_batch(x, order) if x.numel() else x for x in encoded))

    def _check_parts(self) -> None:
        if len(getattr(self.backbone, 'out_indices', (3,))) != 1:
            raise ValueError(
                f'DenseCL: out_indices of the backbone is {self.backbone.out_indices}, but it '
                'needs one feature map: give the last stage alone, e.g. (3,) for a ResNet'
            )
        if getattr(self.neck, 'with_pool', False):
            raise ValueError(
                'DenseCL: num_grid of the neck must be None, because cells are matched on the '
                "backbone's own map"
            )


def _rows(grid: Tensor) -> Tensor:
    """Vectors of all cells as rows: (N, D, S) -> (N*S, D)."""
    return grid.transpose(1, 2).flatten(0, 1)


def _global_half(neck: dict | nn.Module) -> dict | nn.Module:
    """The config of a DenseCLNeck without its dense half; anything else as it is."""
    if isinstance(neck, dict) and neck.get('type') == 'DenseCLNeck':
        kept = {name: value for name, value in neck.items() if name != 'num_grid'}
        return {**kept, 'type': 'MoCoV2Neck'}
    return neck

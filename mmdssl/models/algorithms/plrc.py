"""PLRC: point-level region contrast, CVPR 2022 (arXiv 2202.04639).

Three crops of an image: query, its partner, which shares half of it at least, and key. The student
encodes the query, the teacher (EMA) the others. With a head of vectors (``neck``) and one of scores
with prototypes (``head``), for every cell of the last map:

    L = 0.7 image + 0.3 contrast + 0.3 distillation

* image: InfoNCE of MoCo v2, the vector of an image being the mean over its cells;
* contrast: points of one of 4 x 4 parts of the image, in query and key, attract each other and
  repel points of other images (:mod:`mmdssl.models.losses.region_contrast`);
* distillation: each point of the query says what the teacher says at the same place of the partner:
  scores with prototypes, and affinities to all points of the key
  (:mod:`mmdssl.models.losses.point_distillation`).

The release does not run, and much of it is not what the paper means. Defaults here are corrected;
``release_quirks`` brings back what can be run, ``'all'`` all of it. Two slips lie in the data:
``RegionPoints(map_flip='own')``, and transforms that do not exist. Corrected without a switch: a
table of temperatures that ends at epoch 100.

PLRC-D (no paper has it; ours): X^D from the key. Its cells are compared with the same cells of the
key in both dense losses, 0.3 each, on the map as it is (points between cells would mix what was cut
out into them), mean over the foreground cells of a sample, then over samples. The centre does not
see X^D, and in the contrast the same cell is the only positive.

The teacher moves within a step, between its two passes, as in the release: the partner is judged by
the teacher of the step before.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from mmengine import dist
from torch import Tensor, nn

from mmdssl.core.schedules import teacher_temperature
from mmdssl.core.step_generator import REFERENCES, step_generator
from mmdssl.models.algorithms.teacher_student import TeacherStudent
from mmdssl.models.branches.branch import Targets
from mmdssl.models.foreground import Foreground
from mmdssl.models.losses.info_nce import info_nce
from mmdssl.models.losses.point_distillation import (
    PointMaps,
    distil_pairs,
    distil_rows,
    kept_pairs,
    upsampling,
)
from mmdssl.models.losses.region_contrast import (
    foreign_info_nce,
    nearest_query_keys,
    points_of_maps,
    region_contrast,
)
from mmdssl.models.utils.batch_statistics import frozen_running_stats
from mmdssl.models.utils.cell_places import cell_distances, signed_boxes
from mmdssl.models.utils.collectives import all_reduce, shuffle_batch, unshuffle_batch
from mmdssl.models.utils.queue import KeyQueue
from mmdssl.models.utils.setting_checks import SettingChecks
from mmdssl.registry import MODELS

Quirk = Literal[
    'transposed_points', 'corner_points', 'image_labels', 'loss_weights', 'process_centre'
]
Affinity = Literal['official', 'off', 'cosine']

# Of the release, which divides affinities by it.
_DIVISOR = 128


class Encoded(NamedTuple):
    """What a net makes of N images.

    Attributes:
        cells: (N, D, h, w) vectors of the cells, of any length.
        raw: (N, E, h, w) projections of the cells before normalisation.
        scores: (N, K, h, w) of their unit vectors.
        map: (N, C, h, w) of the backbone.
    """

    cells: Tensor
    raw: Tensor
    scores: Tensor
    map: Tensor


@MODELS.register_module()
class PLRC(TeacherStudent):
    """PLRC, and with ``decoupling`` PLRC-D.

    Args:
        backbone: Gives maps, of which the last is used, e.g. mmpretrain's ``ResNet``.
        neck: Vectors of cells for contrast and image term, a :class:`PointMLP`.
        head: Projections and scores for distillation, a :class:`PrototypeScores`.
        image_weight: Of the image term.
        contrast_weight: Of the contrast of points.
        distill_weight: Of the distillation.
        temperature: Of image term and contrast.
        base_temperature: t_0 of the contrast.
        num_points: Points of a region that are contrasted, the first of those the batch has.
        point_grid: Cells per side of the map that these points are cells of, ``map_size`` of
            :class:`RegionPoints`.
        key_points: ``'drawn'``, or ``'official'``: each replaced by the one that has the index of
            the query point most similar to it.
        intra_image_negatives: Points of other regions of the same image are negatives too; the
            batch has to bring them (``RegionPoints(num_other_regions=...)``).
        student_temperature: Of the student's rows.
        teacher_temperature: Of the teacher's rows, first and last.
        warmup_epochs: Epochs over which it rises, both ends included.
        centre_momentum: Of the centre of the teacher's rows.
        affinity: ``'official'``: products of unit vectors with the key's, which have an L1 norm of
            1, over 128, hence almost constant; ``'cosine'``: without the two; ``'off'``: none.
        distill_grid: Points per side of the grid on which pairs are found, 56 in the release.
        pair_ratio: Points closer than this share of a point's diagonal are pairs.
        max_pairs_per_image: Most pairs of an image, a random choice; None: all, some 4400 at 56.
        queue_length: Keys of the image term; :meth:`check_data` shortens it to what the data allow.
        shuffle_bn: Shuffle the teacher's images over processes, as in MoCo.
        release_quirks: Slips of the release to bring back: ``'transposed_points'`` (row and column
            exchanged where points are sampled), ``'corner_points'`` (places scaled for another
            convention, zeros beyond the border), ``'image_labels'`` (the positive of image i is
            column i), ``'loss_weights'`` (image + 0.7 of the others), ``'process_centre'`` (a mean
            for equal numbers of pairs only); ``'all'`` of them.
        momentum: EMA momentum (start, end).
        decoupling: Branch or None; the key crop (2) is the key view by default.
        branches: Further branches, see :class:`BaseDenseSSL`.
        data_preprocessor: Usually a :class:`MultiViewPreprocessor`.
        init_cfg: mmengine initialisation.

    The batch: ``inputs['views']`` = [query, partner, key], each (N, 3, H, W); of each
    ``inputs['crop_box']`` (N, 4), ``['flip']`` (N, 2) and ``['ori_shape']`` (N, 2); and of query
    and key ``['points']``, (N, 1 + others, points, 2), as :class:`RegionPoints` makes them.
    """

    decoupling_defaults = dict(key_views=(2,))
    evaluated_backbone = 'student'
    update_offset = 0
    requires_drop_last = True

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        neck: dict | nn.Module,
        head: dict | nn.Module,
        image_weight: float = 0.7,
        contrast_weight: float = 0.3,
        distill_weight: float = 0.3,
        temperature: float = 0.2,
        base_temperature: float = 0.07,
        num_points: int = 16,
        point_grid: int = 56,
        key_points: Literal['drawn', 'official'] = 'drawn',
        intra_image_negatives: bool = False,
        student_temperature: float = 0.1,
        teacher_temperature: tuple[float, float] = (0.04, 0.07),
        warmup_epochs: int = 30,
        centre_momentum: float = 0.9,
        affinity: Affinity = 'official',
        distill_grid: int = 56,
        pair_ratio: float = 0.5,
        max_pairs_per_image: int | None = None,
        queue_length: int = 65536,
        shuffle_bn: bool = True,
        release_quirks: Literal['all'] | Sequence[Quirk] = (),
        momentum: tuple[float, float] = (0.999, 0.999),
        decoupling: dict | None = None,
        branches: Sequence[dict] | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        check = SettingChecks('PLRC')
        known = get_args(Quirk)
        quirks = known if release_quirks == 'all' else tuple(release_quirks)
        for quirk in quirks:
            check.choice('release_quirks', quirk, known)
        check.choice('key_points', key_points, ('drawn', 'official'))
        check.choice('affinity', affinity, get_args(Affinity))
        for name, value in (
            ('temperature', temperature),
            ('base_temperature', base_temperature),
            ('student_temperature', student_temperature),
            ('teacher_temperature', min(teacher_temperature)),
            ('pair_ratio', pair_ratio),
        ):
            check.above(name, value, 0, float('inf'))
        check.at_least('num_points', num_points, 1)
        check.at_least('distill_grid', distill_grid, 1)
        check.at_least('point_grid', point_grid, 1)
        if max_pairs_per_image is not None:
            check.at_least('max_pairs_per_image', max_pairs_per_image, 1)
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
        self.weights = dict(image=image_weight, contrast=contrast_weight, distill=distill_weight)
        if 'loss_weights' in quirks:
            rest = self.weights['image']
            self.weights = dict(
                image=1.0, contrast=rest * contrast_weight, distill=rest * distill_weight
            )
        self.temperature, self.base_temperature = temperature, base_temperature
        self.num_points, self.key_points = num_points, key_points
        self.point_grid = point_grid
        self.intra_image_negatives = intra_image_negatives
        self.student_temperature = student_temperature
        self.teacher_temperature = tuple(teacher_temperature)
        self.warmup_epochs = warmup_epochs
        self.centre_momentum = centre_momentum
        self.affinity = affinity
        self.distill_grid, self.pair_ratio = distill_grid, pair_ratio
        self.max_pairs_per_image = max_pairs_per_image
        self.shuffle_bn = shuffle_bn
        self.quirks = frozenset(quirks)
        self._affinities = 0 if affinity == 'off' else distill_grid**2
        self.register_buffer('centre', torch.zeros(1, self._affinities + self.head.num_prototypes))
        self.centre: Tensor
        self.queue = KeyQueue(dim=self.neck.out_channels, length=queue_length, name='queue')
        self._step_points: Tensor | None = None  # (N, P, D) of the key, negatives of the branch

    def check_data(self, *, batch_size: int, num_images: int) -> None:
        """Fit the queue to the data, see :meth:`KeyQueue.fit`."""
        super().check_data(batch_size=batch_size, num_images=num_images)
        self.queue.fit(per_step=batch_size * dist.get_world_size(), available=num_images)

    def update_teacher(self) -> None:
        """Nothing: the teacher moves between its two passes, in :meth:`loss`."""
        self._steps_without_update = 0

    def written_parameters(self) -> list[Tensor]:
        """The teacher's too, which :meth:`loss` moves."""
        return [*super().written_parameters(), *self.teacher.parameters()]

    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """``loss_image``, ``loss_contrast``, ``loss_distill`` (and branches'), with weights."""
        views, boxes, points = self._check(inputs)
        query = self._encode(self, views[0])
        partner = self._teach(views[1])
        if self.training:
            super().update_teacher()
        key = self._teach(views[2])
        vectors = [F.normalize(one.cells.mean(dim=(2, 3)), dim=1) for one in (query, key)]
        distilled, rows, count = self._distil(query, partner, key, boxes)
        losses = dict(
            loss_image=self._contrast_images(*vectors) * self.weights['image'],
            loss_contrast=self._contrast_points(query, key, points) * self.weights['contrast'],
            loss_distill=distilled * self.weights['distill'],
        )
        same = dict(
            vectors=F.normalize(key.cells, dim=1),
            scores=key.scores,
            image=torch.arange(len(views[0]), device=key.cells.device),
        )
        targets = Targets({2: same}, student={0: query.map}, teacher={1: partner.map, 2: key.map})
        losses = self.with_branches(losses, inputs, targets)
        # Last: every loss of a step sees the same centre and the same negatives.
        self._move_centre(rows, count)
        self.queue.enqueue(vectors[1])
        return losses

    def dense_features(self, images: Tensor, **mixing: Any) -> dict[str, Tensor]:
        """Student ``vectors`` (n, D, h, w), unit, and ``scores`` (n, K, h, w) of cells."""
        with frozen_running_stats(self.backbone, self.neck, self.head):
            encoded = self._encode(self, images)
        return dict(vectors=F.normalize(encoded.cells, dim=1), scores=encoded.scores)

    @torch.no_grad()
    def dense_targets(self, images: Tensor, reused: dict[str, Tensor]) -> dict[str, Tensor]:
        """The same of the teacher for redrawn key views."""
        with frozen_running_stats(self.teacher):
            encoded = self._encode(self.teacher, images)
        own = dict(vectors=F.normalize(encoded.cells, dim=1), scores=encoded.scores)
        return {**reused, **own}

    def dense_loss(
        self, features: dict[str, Tensor], targets: dict[str, Tensor], foreground: Foreground
    ) -> Float[Tensor, '']:
        """Distillation and contrast at equal cells of the foreground, with the weights of L.

        Mean over the foreground cells of a sample, then over samples; none counts as 0.
        """
        cells = foreground.chosen(*features['scores'].shape[2:])
        scores, wanted, vectors, same = (
            cells.rows(side[name].flatten(2).transpose(1, 2))
            for name in ('scores', 'vectors')
            for side in (features, targets)
        )  # (M, K) or (M, D)
        distilled = distil_rows(
            scores,
            wanted,
            self.centre[:, self._affinities :],
            student_temperature=self.student_temperature,
            teacher_temperature=self._temperature(),
        )
        negatives = self._step_points
        if negatives is None:
            raise RuntimeError('PLRC: dense_loss needs the points of the step; call loss() first')
        image = targets['image'][cells.sample]
        contrast = foreign_info_nce(vectors, same, negatives, image, self.temperature)
        each = (
            self.weights['distill'] * distilled
            + self.weights['contrast'] * contrast * self.temperature / self.base_temperature
        )
        return (each * cells.weights.to(each.dtype)).sum()

    @staticmethod
    def _encode(net: Any, images: Tensor) -> Encoded:
        """Of the host's own parts, or its teacher's."""
        maps = net.backbone(images)
        cells = net.neck(maps)
        raw = net.head.project(maps[-1])
        cells = cells if cells.dtype == torch.float64 else cells.float()
        return Encoded(cells, raw, net.head.scores(F.normalize(raw, dim=1)), maps[-1])

    @torch.no_grad()
    def _teach(self, images: Tensor) -> Encoded:
        """The teacher's, in batches shuffled over all processes."""
        if not self.shuffle_bn or dist.get_world_size() == 1:
            return self._encode(self.teacher, images)
        shuffled, order = shuffle_batch(images)
        return Encoded(*(unshuffle_batch(x, order) for x in self._encode(self.teacher, shuffled)))

    def _contrast_images(self, query: Tensor, key: Tensor) -> Tensor:
        if 'image_labels' not in self.quirks:
            return info_nce(query, key, self.queue.keys, self.temperature).mean()
        positive = (query * key).sum(dim=1, keepdim=True)
        logits = torch.cat((positive, query @ self.queue.keys.to(query.dtype)), dim=1)
        labels = torch.arange(len(query), device=query.device)
        return F.cross_entropy(logits / self.temperature, labels)

    def _contrast_points(self, query: Encoded, key: Encoded, points: list[Tensor]) -> Tensor:
        transposed, corners = ('transposed_points' in self.quirks, 'corner_points' in self.quirks)

        def sampled(encoded: Encoded, chosen: Tensor) -> Tensor:
            rows = points_of_maps(
                encoded.cells, chosen, self.point_grid, transposed=transposed, corners=corners
            )
            return F.normalize(rows, dim=2)

        own, other = sampled(query, points[0][:, 0]), sampled(key, points[1][:, 0])
        if self.key_points == 'official':
            other = nearest_query_keys(own.detach(), other)
        own, other = own[:, : self.num_points], other[:, : self.num_points]
        self._step_points = other
        negatives = None
        if self.intra_image_negatives:
            rest = points[1][:, 1:, : self.num_points].flatten(1, 2)
            negatives = sampled(key, rest)
        return region_contrast(
            own,
            other,
            temperature=self.temperature,
            base_temperature=self.base_temperature,
            negatives=negatives,
        )

    def _distil(
        self, query: Encoded, partner: Encoded, key: Encoded, boxes: list[Tensor]
    ) -> tuple[Tensor, Tensor, int]:
        """The loss, the sum of the teacher's rows, and the number of pairs."""
        size, grid = self.distill_grid, query.map.shape[2:]
        enlarge = upsampling((grid[0], grid[1]), size, like=query.scores)
        third = query.raw.new_zeros(len(query.raw), 0, 0)
        student, teacher = (
            PointMaps(
                _cells(F.normalize(one.raw, dim=1))
                if self._affinities
                else one.raw.new_zeros(len(one.raw), grid.numel(), 0),
                _cells(one.scores),
            )
            for one in (query, partner)
        )
        if self.affinity == 'official':
            third = enlarge @ _cells(F.normalize(key.raw, p=1, dim=1)) / _DIVISOR
        elif self.affinity == 'cosine':
            third = enlarge @ _cells(F.normalize(key.raw, dim=1))
        generator = step_generator(self.clock.iteration, REFERENCES)
        pairs = []
        for own, other in zip(*(box.split(1) for box in boxes), strict=True):  # a map at a time
            mask = cell_distances(own, other, (size, size)) < self.pair_ratio
            pairs += kept_pairs(mask, self.max_pairs_per_image, generator)
        total, rows, count = distil_pairs(
            student,
            teacher,
            third,
            pairs,
            enlarge,
            self.centre.clone(),  # that of this step, when the backward pass makes rows again
            student_temperature=self.student_temperature,
            teacher_temperature=self._temperature(),
        )
        return total / max(count, 1), rows, count

    def _temperature(self) -> float:
        start, end = self.teacher_temperature
        return teacher_temperature(
            self.clock.epoch, start=start, end=end, warmup_epochs=self.warmup_epochs
        )

    @torch.no_grad()
    def _move_centre(self, rows: Float[Tensor, ' e'], count: int) -> None:
        """Towards the mean of the teacher's rows of all pairs of all processes."""
        number = rows.new_tensor([float(count)])
        if 'process_centre' in self.quirks:
            number *= dist.get_world_size()
        else:
            all_reduce(number)
        all_reduce(rows)
        if number > 0:
            mean = (rows / number).to(self.centre.dtype)
            self.centre.lerp_(mean[None], 1 - self.centre_momentum)

    def _check(self, inputs: dict) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Three views; signed boxes of query and partner; points of query and key."""
        needed = dict(views=3, crop_box=3, flip=3, ori_shape=3, points=2)
        for name, count in needed.items():
            have = len(inputs.get(name) or ())
            if have < count:
                raise ValueError(
                    f'PLRC: the batch needs {name!r} of {count} views and has {have}; make query, '
                    'partner and key with OverlappingPairs(pairs=[(0, 1), (2, None)]) and '
                    "RegionPoints(views=(0, 2)), and pack 'crop_box', 'flip', 'ori_shape', 'points'"
                )
        groups, drawn = inputs['points'][0].shape[1:3]
        if drawn < self.num_points or (self.intra_image_negatives and groups < 2):
            raise ValueError(
                f'PLRC: the batch has {drawn} points of {groups} region(s), but num_points='
                f'{self.num_points} and intra_image_negatives={self.intra_image_negatives}; set '
                'num_points and num_other_regions of RegionPoints'
            )
        boxes = [
            signed_boxes(
                inputs['crop_box'][view],
                inputs['flip'][view].bool(),
                size=inputs['ori_shape'][view],
                convention='pixpro',
            )
            for view in range(2)
        ]
        return list(inputs['views'][:3]), boxes, list(inputs['points'][:2])


def _cells(maps: Float[Tensor, 'n c h w']) -> Float[Tensor, 'n s c']:
    """Cells of maps as rows."""
    return maps.flatten(2).transpose(1, 2)

"""Leopart: self-supervised learning of object parts, CVPR 2022 (arXiv 2204.13101).

A fine-tuning of a given ViT on patch tokens. Teacher (EMA of backbone and head) sees two global
crops; its tokens' cosines with the prototypes become assignments q by Sinkhorn, one global crop
at a time, with foreground tokens of earlier batches in front once their queue is full. The
student sees all crops; where a crop v overlaps a global crop g, both maps are cut out by RoIAlign
and v predicts the assignments of g:

    L = mean over g, over v != g, over foreground cells of  -q_g log softmax(s_v / 0.1)

Foreground is where the teacher's class token looks (:mod:`...utils.attention_foreground`).

Leopart-D ("Mind Your Augmentation" (ICLR 2024), App. B, Eq. 19) is this class with a
``DecouplingBranch`` on the global crops; its dense loss is the same cross entropy between X^D and
X at equal positions, without RoIAlign, on cells that are foreground of the attention AND of the
mask. Eq. 18 and 19 print sums; as in Leopart's code and for the branch alike we take means.

What the queue holds is scored with the student's prototypes.
"""

# The official code moves the teacher at the end of step k, before the optimizer step, by the
# student that step k saw. That teacher is ours after step k - 1 (``update_offset``): the sequence
# of teachers is the same, ours is read one step sooner.

from collections.abc import Sequence
from typing import Any, Literal

import torch
from mmengine import dist
from torch import Tensor, nn

from mmdssl.core.step_generator import QUEUE, step_generator
from mmdssl.models.algorithms.teacher_student import TeacherStudent
from mmdssl.models.branches.branch import Targets
from mmdssl.models.decoupled_views import DecoupledViews, tokens_together
from mmdssl.models.foreground import Foreground
from mmdssl.models.losses.region_assignment import (
    assignment_cross_entropy,
    region_assignment_loss,
)
from mmdssl.models.utils.attention_foreground import attention_foreground, tokens_and_attention
from mmdssl.models.utils.foreground_queue import ForegroundQueue
from mmdssl.models.utils.sinkhorn import sinkhorn
from mmdssl.registry import MODELS


@MODELS.register_module()
class Leopart(TeacherStudent):
    """Leopart, and with ``decoupling`` Leopart-D.

    Args:
        backbone: A :class:`DenseViT`.
        head: A :class:`LeopartHead`; the teacher uses a copy.
        init: Checkpoint of the ViT to start from, see :class:`BaseDenseSSL`; ``'random'``
            for none. Read when training starts, not to evaluate or export.
        num_global_views: Views the teacher sees, at least 1; at least 2 views in all.
        temperature: Of the student's softmax.
        epsilon: Of Sinkhorn.
        sinkhorn_iterations: Rounds of Sinkhorn.
        queue_length: Vectors that a view's queue holds over all processes; 0: no queue.
        queue_per_image: Most vectors an image adds to a queue in a step, on average.
        loss_mask: Cells that count, and tokens that are queued: ``'foreground'`` or ``'all'``.
        attention_mass: Share of the attention that is foreground.
        mask_tolerance: See :func:`region_assignment_loss`; 0 is the published rule.
        roi_size: Cells per side of an aligned overlap.
        momentum: EMA momentum (start, end).
        decoupling: Branch or None; both global crops are key views by default.
        branches: Further branches, see :class:`BaseDenseSSL`.
        data_preprocessor: Usually a :class:`MultiViewPreprocessor`.
        init_cfg: mmengine initialisation.

    The batch: ``inputs['views']``, V of (N, 3, H, W), globals first;
    ``inputs['boxes_in_global'][g]`` (N, V, 4) and ``inputs['boxes_in_other'][v]`` (N, G, 4)
    float32, as :class:`OverlappingCrops` makes them.
    """

    decoupling_defaults = dict(key_views=(0, 1))
    supports_patch_mixing = True
    evaluated_backbone = 'student'
    update_offset = 1

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        head: dict | nn.Module,
        init: str | None = None,
        num_global_views: int = 2,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        sinkhorn_iterations: int = 3,
        queue_length: int = 8192,
        queue_per_image: int = 10,
        loss_mask: Literal['foreground', 'all'] = 'foreground',
        attention_mass: float = 0.6,
        mask_tolerance: float = 1e-4,
        roi_size: int = 7,
        momentum: tuple[float, float] = (0.9995, 1.0),
        decoupling: dict | None = None,
        branches: Sequence[dict] | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        if not init:
            raise ValueError(
                f'{type(self).__name__} fine-tunes a given ViT: set init to a checkpoint of one '
                "(DINO, or an iBOT run of this package), or init='random' to start from nothing"
            )
        if num_global_views < 1:
            raise ValueError(
                f'{type(self).__name__}: num_global_views is {num_global_views}, give at least 1'
            )
        if loss_mask not in ('foreground', 'all'):
            raise ValueError(f"Leopart: loss_mask is {loss_mask!r}, give 'foreground' or 'all'")
        if not 0 < attention_mass <= 1:
            raise ValueError(f'Leopart: attention_mass is {attention_mass}, give a share up to 1')
        super().__init__(
            backbone=backbone,
            head=head,
            decoupling=decoupling,
            branches=branches,
            init=init,
            momentum=momentum,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        token = getattr(self.backbone, 'mask_token', None)
        if token is not None:  # of a given net, which nothing here uses: it stays as it is
            token.requires_grad_(False)
        self.num_global_views = num_global_views
        self.temperature = temperature
        self.epsilon = epsilon
        self.sinkhorn_iterations = sinkhorn_iterations
        self.queue_per_image = queue_per_image
        self.loss_mask = loss_mask
        self.attention_mass = attention_mass
        self.mask_tolerance = mask_tolerance
        self.roi_size = roi_size
        self.queue: ForegroundQueue | None = None
        if queue_length > 0:
            self.queue = ForegroundQueue(
                views=num_global_views,
                length=max(queue_length // dist.get_world_size(), 1),
                dim=self.head.bottleneck_channels,
            )

    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """``loss_assign`` (and those of branches), and the share of foreground cells."""
        views, in_global, in_other = self._check(inputs)
        for head in (self.head, self.teacher.head):
            head.normalise_prototypes()
        assignments, masks, taught = self._teach(views[: self.num_global_views])
        views_d = self.branches.compose(self, inputs)
        scores, seen, features_d = self._student(views, views_d)
        loss = region_assignment_loss(
            assignments,
            scores,
            in_global,
            in_other,
            masks=masks if self.loss_mask == 'foreground' else None,
            patch_size=self.backbone.patch_size,
            temperature=self.temperature,
            roi_size=self.roi_size,
            tolerance=self.mask_tolerance,
        )
        losses = dict(loss_assign=loss)
        if self.branches:
            each = {
                view: dict(
                    assignment=assignments[view].flatten(2).transpose(1, 2),  # (N, L, K)
                    foreground=masks[view].flatten(1),  # (N, L)
                )
                for view in range(self.num_global_views)
            }
            targets = Targets(each, student=dict(enumerate(seen)), teacher=dict(enumerate(taught)))
            passed = None if views_d is None else (views_d, features_d)
            losses = self.with_branches(losses, inputs, targets, passed=passed)
        return dict(losses, foreground_share=masks.float().mean())

    def dense_features(self, images: Tensor, **mixing: Any) -> tuple[Tensor, tuple[int, int]]:
        """Student patch tokens (n, L, C), and their grid (h, w)."""
        tokens = self.backbone.forward_tokens(images, **mixing)[:, 1:]
        return tokens, self.backbone.grid_size(images)

    @torch.no_grad()
    def dense_targets(self, images: Tensor, reused: dict[str, Tensor]) -> dict[str, Tensor]:
        """Assignments and foreground of redrawn key views (n, 3, H, W), among themselves."""
        vectors, attention, _ = self._teacher_vectors(images)  # (n, L, d), (n, h, w)
        assignment = self._assign(vectors.flatten(0, 1), range(self.num_global_views))
        return dict(
            assignment=assignment.view(*vectors.shape[:2], -1),
            foreground=self._foreground(attention).flatten(1),
        )

    def dense_loss(
        self,
        features: tuple[Tensor, tuple[int, int]],
        targets: dict[str, Tensor],
        foreground: Foreground,
    ) -> Tensor:
        """Cross entropy at equal positions; mean over all cells that are foreground twice.

        As in the main loss, samples weigh as many cells as they have.
        """
        tokens, grid = features
        cells = foreground.cells(*grid).flatten(1) & targets['foreground']  # (n, L)
        loss = assignment_cross_entropy(
            targets['assignment'][cells], self.head(tokens[cells]), temperature=self.temperature
        )  # (M,)
        return loss.sum() / max(len(loss), 1)

    @torch.no_grad()
    def _teach(self, views: list[Tensor]) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Assignments (G, N, K, h, w), foreground (G, N, h, w) and G maps of the global views."""
        vectors, attention, taught = self._teacher_vectors(torch.cat(views))
        masks = self._foreground(attention)  # (G * N, h, w)
        assignments = []
        for view, (rows, mask) in enumerate(
            zip(vectors.chunk(len(views)), masks.chunk(len(views)), strict=True)
        ):
            flat = rows.flatten(0, 1)  # (N * L, d)
            assignments.append(self._assign(flat, [view]))
            self._enqueue(view, flat[mask.flatten()], images=len(rows))
        grid, size = masks.shape[1:], len(views[0])
        # (G * N * L, K) -> (G, N, K, h, w)
        maps = torch.cat(assignments).view(len(views), size, *grid, -1).permute(0, 1, 4, 2, 3)
        return maps, masks.view(len(views), size, *grid), taught.chunk(len(views))

    def _teacher_vectors(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of the patches: unit teacher vectors (B, L, d), CLS attention (B, h, w), the map."""
        tokens, attention = tokens_and_attention(self.teacher.backbone, images)
        patches = tokens[:, 1:]
        maps = patches.transpose(1, 2).unflatten(2, attention.shape[1:])  # (B, C, h, w)
        return self.teacher.head.project(patches), attention, maps

    def _foreground(self, attention: Tensor) -> Tensor:
        """(B, h, w) attention -> (B, h, w) bool; all True where all cells count."""
        if self.loss_mask == 'all':
            return torch.ones_like(attention, dtype=torch.bool)
        return attention_foreground(attention, mass=self.attention_mass)

    def _assign(self, vectors: Tensor, queues: Any) -> Tensor:
        """Assignments (M, K) of teacher vectors (M, d), next to those of full queues."""
        scores = [self.teacher.head.scores(vectors)]
        if self.queue is not None:
            scores = [*(self.head.scores(self.queue.get(view)) for view in queues), *scores]
        every = sinkhorn(
            torch.cat(scores), epsilon=self.epsilon, iterations=self.sinkhorn_iterations
        )
        return every[len(every) - len(vectors) :]

    def _enqueue(self, view: int, vectors: Tensor, *, images: int) -> None:
        """Store a random choice of vectors (M, d); of fewer than wanted, all."""
        if self.queue is not None:
            count = min(self.queue_per_image * images, self.queue.length)
            self.queue.push(view, vectors[self._choose(view, len(vectors), count)])

    def _choose(self, view: int, available: int, count: int) -> Tensor:
        """Random rows to store, (at most count,); draws of its own, as their number varies."""
        generator = step_generator(self.clock.iteration, QUEUE + view)
        return torch.randperm(available, generator=generator)[:count]

    def _student(
        self, views: list[Tensor], decoupled: DecoupledViews | None
    ) -> tuple[list[Tensor], list[Tensor], Any]:
        """Student scores (N, K, h, w) and maps (N, C, h, w) of every view; features of X^D.

        One pass per view size; X^D goes with the global views.
        """
        scores: list[Tensor] = []
        seen: list[Tensor] = []
        features_d = None
        first = 0
        while first < len(views):
            last = first + 1
            while last < len(views) and views[last].shape == views[first].shape:
                last += 1
            images = torch.cat(views[first:last])
            grid = self.backbone.grid_size(images)
            tokens, tokens_d = tokens_together(
                self.backbone, images, decoupled if first == 0 else None
            )
            if tokens_d is not None:
                features_d = (tokens_d[:, 1:], grid)
            maps = self.head(tokens[:, 1:]).transpose(1, 2).unflatten(2, grid)  # (B, K, h, w)
            scores += maps.chunk(last - first)
            seen += tokens[:, 1:].transpose(1, 2).unflatten(2, grid).chunk(last - first)
            first = last
        return scores, seen, features_d

    def _check(self, inputs: dict) -> tuple[list[Tensor], Tensor, Tensor]:
        """Views, boxes in the globals (N, G, V, 4) and in the other views (N, V, G, 4)."""
        views, count = list(inputs['views']), self.num_global_views
        if len(views) < max(count, 2):
            raise ValueError(
                f'{type(self).__name__}: the batch has {len(views)} views; at least 2 are needed, '
                f'of them num_global_views={count} global ones'
            )
        shapes = {'boxes_in_global': (count, len(views)), 'boxes_in_other': (len(views), count)}
        for key, (have, each) in shapes.items():
            boxes = inputs.get(key)
            if boxes is None or len(boxes) != have or boxes[0].shape[1:] != (each, 4):
                raise ValueError(
                    f'{type(self).__name__}: the batch needs {key!r} of {have} views, (N, {each}, '
                    f'4) each; make the views with OverlappingCrops(num_global_views={count}) and '
                    "pack 'boxes_in_global' and 'boxes_in_other'"
                )
        return (
            views,
            torch.stack(list(inputs['boxes_in_global']), dim=1),
            torch.stack(list(inputs['boxes_in_other']), dim=1),
        )

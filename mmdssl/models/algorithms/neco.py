"""NeCo: patch neighbour consistency, ICLR 2025 (arXiv 2408.11054).

A fine-tuning of a given ViT on patch tokens, with the crops of Leopart and its pairs of a global
view g (teacher) and another view v (student). For every token of what both show, student and
teacher put the same R reference tokens in order of similarity; the student is to have the
teacher's order (:mod:`mmdssl.models.losses.neighbour_order`):

    L = mean over g, over v != g, over tokens and ranks of  -sum over references of q log p

References are the teacher's tokens of the same pair, of all images of this process in a random
order, as many for each image as a part has cells; or, where there is a queue and it is full,
random ones of earlier batches. There are no prototypes.

NeCo-D (no paper has it; ours, after Leopart-D) is this class with a ``DecouplingBranch`` on the
global crops: token j of X^D against token j of X, over the whole view and without RoIAlign, on the
tokens that are foreground, all alike; references are teacher tokens of the X.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mmdssl.core.step_generator import REFERENCES, step_generator
from mmdssl.models.algorithms.leopart import Leopart
from mmdssl.models.branches.branch import Targets
from mmdssl.models.foreground import Foreground
from mmdssl.models.losses.neighbour_order import (
    Similarity,
    neighbour_order_loss,
    order_cross_entropy,
    similarities,
)
from mmdssl.models.utils.host_copies import move
from mmdssl.models.utils.setting_checks import SettingChecks
from mmdssl.registry import MODELS


@MODELS.register_module()
class NeCo(Leopart):
    """NeCo, and with ``decoupling`` NeCo-D. Crops, passes and queue are those of Leopart.

    Args:
        backbone: A :class:`DenseViT`.
        head: A :class:`LeopartHead` with ``num_prototypes=None``; the teacher uses a copy.
        init: Checkpoint of the ViT to start from, as for :class:`Leopart`.
        num_global_views: Views the teacher sees, at least 1; at least 2 views in all.
        similarity: What is put in order: ``'cosine'`` (all published configs) or ``'euclidean'``
            (the default of the official class).
        steepness: Of the comparators, student's and teacher's.
        roi_size: Cells per side of an aligned overlap; its square is the number of references.
        queue_length: Tokens of earlier batches that a global view's queue holds over all
            processes; 0: no queue.
        queue_per_image: Most tokens an image adds to a queue in a step, on average. Which ones is
            not published; here random ones.
        momentum: EMA momentum (start, end).
        decoupling: Branch or None; both global crops are key views by default.
        branches: Further branches, see :class:`BaseDenseSSL`.
        data_preprocessor: Usually a :class:`MultiViewPreprocessor`.
        init_cfg: mmengine initialisation.

    The batch: as for :class:`Leopart`.
    """

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        head: dict | nn.Module,
        init: str | None = None,
        num_global_views: int = 2,
        similarity: Similarity = 'cosine',
        steepness: tuple[float, float] = (100.0, 100.0),
        roi_size: int = 7,
        queue_length: int = 0,
        queue_per_image: int = 10,
        momentum: tuple[float, float] = (0.9995, 1.0),
        decoupling: dict | None = None,
        branches: Sequence[dict] | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        check = SettingChecks('NeCo')
        check.choice('similarity', similarity, ('cosine', 'euclidean'))
        check.above('steepness', min(steepness), 0, float('inf'))
        check.at_least('roi_size', roi_size, 2)
        super().__init__(
            backbone=backbone,
            head=head,
            init=init,
            num_global_views=num_global_views,
            queue_length=queue_length,
            queue_per_image=queue_per_image,
            roi_size=roi_size,
            momentum=momentum,
            decoupling=decoupling,
            branches=branches,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        if self.head.prototypes is not None:
            raise ValueError(
                f'NeCo: the head has {self.head.num_prototypes} prototypes, which nothing would '
                'train; set num_prototypes=None'
            )
        self.similarity = similarity
        self.steepness = (steepness[0], steepness[1])

    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """``loss_order`` (and those of branches)."""
        views, in_global, in_other = self._check(inputs)
        count, size = self.num_global_views, len(views[0])
        with torch.no_grad():
            vectors, taught = self._teach_tokens(torch.cat(views[:count]))
        grid = taught.shape[2:]
        views_d = self.branches.compose(self, inputs)
        given, seen, features_d = self._student(views, views_d)
        each = vectors.unflatten(0, (count, size))  # (G, N, L, d)
        loss = neighbour_order_loss(
            each.transpose(2, 3).unflatten(3, grid),
            given,
            in_global,
            in_other,
            references=lambda tokens, pair: self._references(
                tokens.flatten(0, 1), len(tokens), purpose=pair, view=pair // (len(views) - 1)
            ),
            patch_size=self.backbone.patch_size,
            roi_size=self.roi_size,
            similarity=self.similarity,
            steepness=self.steepness,
        )
        losses = dict(loss_order=loss)
        if self.branches:
            targets = Targets(
                {view: dict(vectors=rows) for view, rows in enumerate(each)},
                student=dict(enumerate(seen)),
                teacher=dict(enumerate(taught.chunk(count))),
            )
            passed = None if views_d is None else (views_d, features_d)
            losses = self.with_branches(losses, inputs, targets, passed=passed)
        for view, rows in enumerate(each):  # last: every loss of a step sees the same queue
            self._enqueue(view, rows.flatten(0, 1), images=size)
        return losses

    @torch.no_grad()
    def dense_targets(self, images: Tensor, reused: dict[str, Tensor]) -> dict[str, Tensor]:
        """Teacher vectors (n, L, d) of redrawn key views."""
        return dict(vectors=self._teach_tokens(images)[0])

    def dense_loss(
        self,
        features: tuple[Tensor, tuple[int, int]],
        targets: dict[str, Tensor],
        foreground: Foreground,
    ) -> Float[Tensor, '']:
        """Cross entropy of the orders at equal positions; mean over all foreground tokens."""
        tokens, grid = features
        cells = foreground.chosen(*grid)
        taught = targets['vectors']  # (n, L, d)
        chosen = self._references(taught.flatten(0, 1), len(taught), purpose=-1)  # (n, R, d)
        chosen = chosen[cells.sample]  # (M, R, d)
        given = self.head(cells.rows(tokens))  # (M, d)
        own, wanted = (
            similarities(x[:, None], chosen, self.similarity)[:, 0]
            for x in (given, cells.rows(taught))
        )  # (M, R)
        return order_cross_entropy(own, wanted, steepness=self.steepness)

    def _teach_tokens(self, images: Tensor) -> tuple[Float[Tensor, 'n l d'], Tensor]:
        """Unit teacher vectors (B, L, d) of the patches, and the map (B, C, h, w)."""
        patches = self.teacher.backbone.forward_tokens(images)[:, 1:]
        maps = patches.transpose(1, 2).unflatten(2, self.backbone.grid_size(images))
        return self.teacher.head(patches), maps

    def _references(
        self, tokens: Float[Tensor, 't d'], images: int, *, purpose: int, view: int = 0
    ) -> Float[Tensor, 'images r d']:
        """Random teacher tokens (N, R, d), R to each image, of the queue where it is full.

        Args:
            tokens: (T, d) of this step, N * R at least.
            images: N.
            purpose: Which of the draws of a step it is.
            view: Global view whose queue serves.
        """
        if self.queue is not None and len(kept := self.queue.get(view)):
            tokens = kept.to(tokens.dtype)
        order = self._order(len(tokens), purpose)
        wanted = images * self.roi_size**2
        while len(order) < wanted:  # a short queue serves several times
            order = torch.cat((order, order))
        chosen = move(order[:wanted], tokens.device)
        return tokens[chosen].unflatten(0, (images, -1))

    def _order(self, count: int, purpose: int) -> Tensor:
        """A random order of ``count`` tokens; draws of its own."""
        generator = step_generator(self.clock.iteration, REFERENCES + purpose)
        return torch.randperm(count, generator=generator)

"""iBOT: image BERT pre-training with an online tokenizer, ICLR 2022 (arXiv 2111.07832).

Two global crops u, v of an image (and optional local crops). The teacher, an EMA
of the student, sees the plain crops; the student sees them with patches replaced
by a mask token. With P the softmax over prototypes, teacher centred and sharpened:

    L_CLS   = mean over pairs of views a != b of  -P_t([CLS]_a) log P_s([CLS]_b)
    L_MIM   = mean over views of mean over masked patches of  -P_t(patch_i) log P_s(patch_i)
    L       = lambda_1 L_CLS + lambda_2 L_MIM

iBOT-D ("Mind Your Augmentation", ICLR 2024) is this class with a
``DecouplingBranch``; its dense loss is L_MIM's cross entropy on foreground patches
of an unmasked X^D.
"""

# Same results as the official code with less work: the prototype layer runs on the patches a loss
# reads, and the mean teacher logits that the patch centre needs are the prototypes of the mean
# projected token (the layer is linear).

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmdssl.core.step_generator import CORRESPONDENCE, step_generator
from mmdssl.models.algorithms.teacher_student import TeacherStudent
from mmdssl.models.branches.branch import Targets
from mmdssl.models.chosen_cells import ChosenCells, choose_cells, per_sample_weights
from mmdssl.models.correspondence import Rule, check_rule, match_cells
from mmdssl.models.decoupled_views import DecoupledViews, tokens_together
from mmdssl.models.foreground import Foreground
from mmdssl.models.objectives import Objective, mean_of_samples, unit_mean_of_samples
from mmdssl.models.utils.entropy import normalised_entropy
from mmdssl.models.utils.host_copies import HostCopies
from mmdssl.registry import MODELS


@MODELS.register_module()
class IBOT(TeacherStudent):
    """iBOT, and with ``decoupling`` iBOT-D.

    Args:
        backbone: A :class:`DenseViT` with a mask token.
        head: An :class:`IBOTHead`; the teacher uses a copy.
        loss: Settings of :class:`IBOTLoss`; prototype counts are taken from the head.
        num_global_views: Views the teacher sees; further views are local crops,
            which the student sees unmasked and only L_CLS uses.
        momentum: EMA momentum (start, end).
        decoupling: Branch or None. For iBOT its defaults are those of the public
            code: additive, both views as key views, half of the masks complemented (but
            none that leaves a rectangle as foreground, ``complement_rectangles=False``),
            mixing at (detached) patch embeddings.
        correspondence: Which teacher patch of the same view a masked patch learns: 1: the
            one at its place (iBOT); n: the n-th most similar to that one (T@n of "Mind
            Your Augmentation", App. C.2); ``'random'``: any.
        center_counts_decoupled: Let the teacher's outputs for de-coupled key views
            enter the centres once more, as the public code does by forwarding
            copies of them.
        branches: Further branches, see :class:`BaseDenseSSL`.
        init: Checkpoint of the backbone to start from, see :class:`BaseDenseSSL`.
        data_preprocessor: Usually a :class:`MultiViewPreprocessor`.
        init_cfg: mmengine initialisation.

    The batch: ``inputs['views']`` list of (N, 3, H, W), globals first;
    ``inputs['mask']`` list of (N, h, w) bool for the globals, True = mask token.
    """

    decoupling_defaults = dict(
        loss_weighting='additive',
        key_views=(0, 1),
        complement_ratio=0.5,
        complement_rectangles=False,
        mix_level='patch_embed',
    )
    supports_patch_mixing = True
    further_objectives = ('average', 'all')

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        head: dict | nn.Module,
        loss: dict | None = None,
        num_global_views: int = 2,
        momentum: tuple[float, float] = (0.996, 1.0),
        correspondence: Rule = 1,
        decoupling: dict | None = None,
        branches: Sequence[dict] | None = None,
        init: str | None = None,
        center_counts_decoupled: bool = False,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            backbone=backbone,
            head=head,
            decoupling=decoupling,
            branches=branches,
            init=init,
            momentum=momentum,
            teacher_without=('backbone.mask_token',),
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        if getattr(self.backbone, 'mask_token', None) is None:
            raise ValueError(
                'IBOT needs a backbone with a mask token: DenseViT(with_mask_token=True)'
            )
        if num_global_views < 2:
            raise ValueError(f'IBOT: num_global_views is {num_global_views}, give at least 2')
        check_rule(correspondence)
        self.num_global_views = num_global_views
        self.correspondence = correspondence
        self.center_counts_decoupled = center_counts_decoupled
        # Teacher outputs of redrawn copies in this step, for the centres.
        self._copies: list[tuple[Tensor, Tensor]] = []
        self.criterion = MODELS.build(
            dict(
                type='IBOTLoss',
                out_channels=self.head.out_channels,
                patch_out_channels=self.head.patch_out_channels,
                **(loss or {}),
            )
        )

    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """``loss_cls``, ``loss_patch`` (and those of branches), each with its weight."""
        views, masks = self._check(inputs)
        epoch = self.clock.epoch
        images = torch.cat(views[: self.num_global_views])  # (G*N, 3, H, W)
        mask = torch.cat(masks)  # (G*N, h, w)
        known = torch.cat(HostCopies.of(inputs, 'mask')[: self.num_global_views])  # the same
        if epoch < self.criterion.pred_start_epoch:
            mask, known = torch.zeros_like(mask), torch.zeros_like(known)

        with torch.no_grad():
            taught = self.teacher.backbone.forward_tokens(images)  # (G*N, 1+L, C)
            projected = self.teacher.head.project(taught)  # (G*N, 1+L, d)
            teacher_cls = self.teacher.head.cls_logits(projected[:, 0])

        views_d = self.branches.compose(self, inputs)
        # (G*N, 1+L, C), and (n, 1+L, C) of X^D
        tokens, tokens_d = tokens_together(self.backbone, images, views_d, mask=mask)
        chosen = choose_cells(known.flatten(1).bool(), device=images.device)  # of (G*N, L)
        local_views = views[self.num_global_views :]
        local_tokens = self._local_tokens(local_views)
        cls_tokens = [part[:, 0] for part in (tokens, *local_tokens)]
        student_cls = self.head.cls_logits(self.head.project(torch.cat(cls_tokens)))
        loss_cls = self.criterion.cls_loss(
            student_cls, teacher_cls, num_teacher_views=self.num_global_views, epoch=epoch
        )
        loss_patch = self._patch_loss(tokens[:, 1:], self._aligned(projected[:, 1:]), chosen)
        weight_cls, weight_patch = self.criterion.loss_weights
        losses = dict(loss_cls=loss_cls * weight_cls, loss_patch=loss_patch * weight_patch)

        if self.branches:
            self._copies = []
            passed = None
            if views_d is not None and tokens_d is not None:
                passed = (views_d, (tokens_d[:, 1:], self.backbone.grid_size(images)))
            seen = self._maps(views[: self.num_global_views], [tokens])
            targets = Targets(
                dict(enumerate(projected[:, 1:].chunk(self.num_global_views))),
                student=dict(enumerate(seen + self._maps(local_views, local_tokens))),
                teacher=dict(enumerate(self._maps(views[: self.num_global_views], [taught]))),
            )
            losses = self.with_branches(losses, inputs, targets, passed=passed)
        if views_d is not None and self.center_counts_decoupled:
            projected, teacher_cls = self._with_copies(projected, teacher_cls, views_d)
        self._update_centers(projected, teacher_cls)
        return losses

    def dense_features(self, images: Tensor, **mixing: Any) -> tuple[Tensor, tuple[int, int]]:
        """Student patch tokens (n, L, C) of unmasked images, and their grid (h, w)."""
        tokens = self.backbone.forward_tokens(images, **mixing)[:, 1:]
        return tokens, self.backbone.grid_size(images)

    @torch.no_grad()
    def dense_targets(self, images: Tensor, reused: Tensor) -> Tensor:
        """Teacher projections (n, L, d) of the patches."""
        projected = self._teach(images)
        self._copies.append((projected, self.teacher.head.cls_logits(projected[:, 0])))
        return projected[:, 1:]

    def dense_loss(
        self,
        features: tuple[Tensor, tuple[int, int]],
        targets: Tensor,
        foreground: Foreground,
        *,
        objective: Objective = 'point',
    ) -> Tensor:
        """Patch cross entropy on foreground patches; mean per sample, then over samples.

        ``'average'`` compares the mean projected vectors, ``'all'`` every student patch
        with the mean target distribution, which equals comparing it with each one.
        """
        tokens, grid = features
        if objective == 'point':
            cells = foreground.chosen(*grid)
            loss = self._patch_loss(tokens, targets, cells)
        else:
            mask = foreground.cells(*grid).flatten(1)  # (n, L)
            loss = self._unaligned_loss(tokens, targets, mask, objective)
        return loss * self.criterion.loss_weights[1]

    @torch.no_grad()
    def health(self, images: Tensor) -> dict[str, Tensor]:
        """What the teacher's CLS targets look like, for ``RepresentationHealthHook``.

        ``teacher_image_entropy``: mean entropy of an image's distribution;
        ``teacher_entropy``: entropy of the mean distribution, both as shares of the
        uniform one's; ``center_norm``: length of the CLS centre.
        """
        logits = self.teacher.head.cls_logits(self._teach(images)[:, 0])
        targets = self.criterion.cls_targets(logits, epoch=self.clock.epoch)  # (N, K)
        return dict(
            teacher_image_entropy=normalised_entropy(targets).mean(),
            teacher_entropy=normalised_entropy(targets.mean(dim=0)),
            center_norm=self.criterion.center.norm(),
        )

    def _teach(self, images: Tensor) -> Tensor:
        """Unit teacher vectors (B, 1+L, d), before the prototype layer."""
        return self.teacher.head.project(self.teacher.backbone.forward_tokens(images))

    def _aligned(self, projected: Tensor) -> Tensor:
        """Teacher vectors (B, L, d) in the order in which the student's patches learn them."""
        if self.correspondence == 1:  # nothing is nearer to a patch than itself
            return projected
        generator = step_generator(self.clock.iteration, CORRESPONDENCE)
        cells = projected.transpose(1, 2)  # (B, d, L)
        index = match_cells(cells, cells, rule=self.correspondence, generator=generator)
        return projected.gather(1, index[..., None].expand_as(projected))

    def _patch_loss(self, tokens: Tensor, projected: Tensor, chosen: ChosenCells) -> Tensor:
        """L_MIM on the chosen cells: the prototype layers run on these alone.

        ``tokens`` (B, L, C) of the student, ``projected`` (B, L, d) of the
        teacher, ``chosen`` M of the (B, L) cells.
        """
        student = self.head.patch_logits(self.head.project(chosen.rows(tokens)))  # (M, K')
        with torch.no_grad():
            teacher = self.teacher.head.patch_logits(chosen.rows(projected))
        return self.criterion.patch_loss(student, teacher, chosen.weights, epoch=self.clock.epoch)

    def _unaligned_loss(
        self, tokens: Tensor, projected: Tensor, chosen: Tensor, objective: Objective
    ) -> Tensor:
        """The loss where positions do not matter; ``chosen`` (B, L) bool."""
        size, sample = len(chosen), chosen.nonzero()[:, 0]  # (M,)
        student, teacher = self.head.project(tokens[chosen]), projected[chosen]  # (M, d)
        if objective == 'average':
            chosen = chosen.any(dim=1, keepdim=True)  # one position a sample: (n, 1)
            student = unit_mean_of_samples(student, sample, size)[chosen[:, 0]]
            teacher = unit_mean_of_samples(teacher, sample, size)[chosen[:, 0]]
        with torch.no_grad():
            logits = self.teacher.head.patch_logits(teacher)
            targets = self.criterion.patch_targets(logits, epoch=self.clock.epoch)
            if objective == 'all':
                targets = mean_of_samples(targets, sample, size)[sample]
        weights = per_sample_weights(chosen, projected.dtype)
        return self.criterion.cross_entropy(self.head.patch_logits(student), targets, weights)

    def _local_tokens(self, views: list[Tensor]) -> list[Tensor]:
        """Student tokens of the local crops, from one pass if they are of one size."""
        if not views:
            return []
        own_norm = getattr(self.backbone, 'local_cls_norm', None) is not None
        local = dict(local=True) if own_norm else {}
        if len({view.shape[-2:] for view in views}) > 1:
            return [self.backbone.forward_tokens(view, **local) for view in views]
        return [self.backbone.forward_tokens(torch.cat(views), **local)]

    def _maps(self, views: list[Tensor], tokens: list[Tensor]) -> list[Tensor]:
        """Maps (N, C, h, w) of views, from the tokens (.., 1+L, C) of one pass or of several."""
        rows = [row for part in tokens for row in part.split(len(views[0]))]
        return [
            row[:, 1:].transpose(1, 2).unflatten(2, self.backbone.grid_size(view))
            for view, row in zip(views, rows, strict=True)
        ]

    def _with_copies(
        self, projected: Tensor, teacher_cls: Tensor, views: DecoupledViews
    ) -> tuple[Tensor, Tensor]:
        """Teacher outputs of the batch followed by those of the de-coupled key views."""
        copies = self._copies
        if not copies:  # the branch reused outputs: the copies equal their originals
            size = len(projected) // self.num_global_views
            rows = torch.cat([picked.view * size + picked.index for picked in views.selections])
            copies = [(projected[rows], teacher_cls[rows])]
        return (
            torch.cat([projected, *(tokens for tokens, _ in copies)]),
            torch.cat([teacher_cls, *(logits for _, logits in copies)]),
        )

    @torch.no_grad()
    def _update_centers(self, projected: Tensor, teacher_cls: Tensor) -> None:
        """Centres move to the mean raw teacher logits: (B, 1+L, d) tokens, (B, K) CLS logits."""
        with torch.autocast(projected.device.type, enabled=False):
            mean_token = projected[:, 1:].flatten(0, 1).mean(dim=0)  # (d,)
            patch_mean = self.teacher.head.patch_logits(mean_token)
        self.criterion.update_centers(teacher_cls.to(patch_mean.dtype).mean(dim=0), patch_mean)

    def _check(self, inputs: dict) -> tuple[list[Tensor], list[Tensor]]:
        views, masks = inputs['views'], inputs.get('mask')
        if len(views) < self.num_global_views:
            raise ValueError(
                f'IBOT: the batch has {len(views)} views, num_global_views={self.num_global_views}'
            )
        if masks is None or len(masks) < self.num_global_views:
            raise ValueError(
                f'IBOT: {self.num_global_views} global views need a mask each; add a mask '
                "transform (BlockwiseMask, RegionCollaborativeCutout) to them and 'mask' to the "
                'keys of PackViews'
            )
        return views, list(masks[: self.num_global_views])

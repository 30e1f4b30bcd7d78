"""MaskAlign: stare at what you see (CVPR 2023, arXiv 2211.08887).

A frozen teacher (CLIP, DINO, a run of this package) sees the whole image. The student sees a part
of its patches, no mask token, no decoder; patches the teacher's CLS attends to are rather kept.
With h_j the outputs of the student's blocks, t_i those of the teacher's at the same tokens (CLS
and kept patches), both of depth D:

    s_i = Linear_i(sum over j of W_ij h_j)         W: learned, identity + 0.01 at first
    L   = mean over the top 5 layers i of  2 smooth-L1(s_i, LayerNorm(t_i))

MaskAlign-D ("Mind Your Augmentation" (ICLR 2024), Sec. 4.2 and App. B) is this class with a
``DecouplingBranch``: X^D passes the student whole, and its foreground patches learn the teacher's
patches of the key view, which are there already. CLS, which has seen the foreign background, takes
no part. The paper mixes pixels, X * (1 - M) + X_B * M, and so does this class by default: with M on
the patch grid that equals mixing at patch embeddings, and gradients reach the patch embedding
through both images. ``mix_level='patch_embed'`` can detach the background, as iBOT-D's code does.
"""

# Same results as the official code with less work: the layers that the loss leaves out are not
# computed (their linears are frozen), the final norm, which no loss reads, stays the identity, and
# the teacher hands over one row of its last attention instead of all.

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from mmdssl.models.algorithms.base import BaseDenseSSL, build_part
from mmdssl.models.branches.branch import Targets
from mmdssl.models.foreground import Foreground
from mmdssl.models.heads.dynamic_alignment import DynamicAlignment
from mmdssl.models.losses.alignment_loss import alignment_loss, layer_weights, whiten
from mmdssl.models.utils.attentive_masking import attentive_order, keep_count
from mmdssl.models.utils.frozen_teacher import FrozenTeacher
from mmdssl.registry import MODELS


@MODELS.register_module()
class MaskAlign(BaseDenseSSL):
    """MaskAlign, and with ``decoupling`` MaskAlign-D.

    Args:
        backbone: A :class:`SinCosViT`.
        teacher: A :class:`FrozenTeacher` (config or module) of the same depth and patch grid:
            224 px and patches of 14 need ``img_size=196`` beside a student with patches of 16.
        mask_ratio: Share of patches the student does not see, in [0, 1).
        masking: ``'attentive'``, or ``'random'`` as in MAE.
        layers: Teacher layers in the loss: ``'top5'`` (or another number), ``'mean'``,
            ``'out'``, ``'linear_decay'``; see :func:`layer_weights`.
        decoupling: Branch or None; the paper's side of every switch.
        branches: Further branches, see :class:`BaseDenseSSL`.
        data_preprocessor: Usually a :class:`MultiViewPreprocessor`.
        init_cfg: mmengine initialisation.

    The batch: ``inputs['views'][0]`` (N, 3, H, W); further views are not used.

    Raises:
        ValueError: If student and teacher differ in depth or patch grid, or a setting is off.
    """

    decoupling_defaults = dict(
        loss_weighting='convex', weight=0.3, key_views=(0,), mix_level='pixel'
    )
    supports_patch_mixing = True
    teacher: FrozenTeacher

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        teacher: dict | nn.Module,
        mask_ratio: float = 0.7,
        masking: Literal['attentive', 'random'] = 'attentive',
        layers: str = 'top5',
        decoupling: dict | None = None,
        branches: Sequence[dict] | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            backbone=backbone,
            decoupling=decoupling,
            branches=branches,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        self.teacher = build_part(teacher)
        self._check_parts()
        if masking not in ('attentive', 'random'):
            raise ValueError(f"MaskAlign: masking is {masking!r}, give 'attentive' or 'random'")
        self.mask_ratio = mask_ratio
        self.masking = masking
        keep_count(self.teacher.grid[0] * self.teacher.grid[1], mask_ratio)
        depth = self.teacher.depth
        weights = layer_weights(layers, depth)
        self.layers = tuple(i for i in range(depth) if weights[i] > 0)
        self.weights = tuple(weights[i] for i in self.layers)
        self.head = DynamicAlignment(
            depth=depth,
            in_channels=self.backbone.embed_dims,
            out_channels=self.teacher.embed_dims,
            layers=self.layers,
        )
        if self.backbone.final_norm:
            self.backbone.ln1.requires_grad_(False)

    def check_data(self, *, batch_size: int, num_images: int) -> None:
        """Also refuses to start without the teacher's file."""
        super().check_data(batch_size=batch_size, num_images=num_images)
        self.teacher.check_checkpoint()

    def loss(self, inputs: dict, data_samples: list | None = None) -> dict[str, Tensor]:
        """``loss_align`` (and those of branches), each with its weight."""
        images = inputs['views'][0]
        seen = self.teacher(images, self.layers)
        keep = self.kept_patches(seen.importance)  # (N, K)
        aligned = self.head(self.backbone.hidden_states(images, keep=keep))
        losses = dict(loss_align=self._weighted(self.layer_losses(aligned, seen.hidden, keep)))
        if self.branches:
            patches = tuple(hidden[:, 1:] for hidden in seen.hidden)  # (N, L, C) a layer
            last = patches[-1].transpose(1, 2).unflatten(2, self.teacher.grid)  # (N, C, h, w)
            # The student saw a part of the patches only, so there is no map of its.
            losses = self.with_branches(losses, inputs, Targets({0: patches}, teacher={0: last}))
        return losses

    def kept_patches(self, importance: Tensor) -> Tensor:
        """Indices (N, K) int64 of the patches the student sees, drawn by importance (N, L)."""
        if self.masking == 'random':
            importance = torch.ones_like(importance)
        count = keep_count(importance.shape[1], self.mask_ratio)
        return attentive_order(importance)[:, :count]

    def layer_losses(
        self, aligned: list[Tensor], hidden: tuple[Tensor, ...], keep: Tensor
    ) -> list[Tensor]:
        """Mean loss of CLS and kept patches for each of ``layers`` (scalars).

        Args:
            aligned: (N, 1 + K, C) a layer, from the student.
            hidden: (N, 1 + L, C) a layer, from the teacher.
            keep: (N, K) patches.
        """
        tokens = torch.cat((keep.new_zeros(len(keep), 1), keep + 1), dim=1)  # CLS first
        return [
            alignment_loss(student, target).mean()
            for student, target in zip(aligned, self.targets(hidden, tokens), strict=True)
        ]

    def targets(self, hidden: tuple[Tensor, ...], tokens: Tensor) -> list[Tensor]:
        """Whitened teacher tokens (N, T, C) a layer, at ``tokens`` (N, T) int64."""
        rows = torch.arange(len(tokens), device=tokens.device)[:, None]
        return [whiten(state[rows, tokens]) for state in hidden]

    def dense_features(self, images: Tensor, **mixing: Any) -> tuple[list[Tensor], tuple[int, int]]:
        """Patches (n, L, C) of all student blocks for whole images, and their grid (h, w)."""
        states = self.backbone.hidden_states(images, **mixing)
        return [state[:, 1:] for state in states], self.backbone.grid_size(images)

    def dense_targets(self, images: Tensor, reused: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Teacher patches (n, L, C) a layer of redrawn key views."""
        return tuple(state[:, 1:] for state in self.teacher(images, self.layers).hidden)

    def dense_loss(
        self,
        features: tuple[list[Tensor], tuple[int, int]],
        targets: tuple[Tensor, ...],
        foreground: Foreground,
    ) -> Tensor:
        """The same loss on foreground patches: mean per sample, then over samples."""
        states, grid = features
        chosen = foreground.chosen(*grid)
        aligned = self.head([chosen.rows(state) for state in states])  # (M, C) a layer
        losses = [
            alignment_loss(student, whiten(chosen.rows(target)))
            for student, target in zip(aligned, targets, strict=True)
        ]  # (M,) a layer
        per_patch = self._weighted(losses)
        return (per_patch * chosen.weights.to(per_patch.dtype)).sum()

    def _weighted(self, losses: list[Tensor]) -> Tensor:
        """Sum over layers, each with its weight."""
        terms = [weight * loss for weight, loss in zip(self.weights, losses, strict=True)]
        return torch.stack(terms).sum(dim=0)

    def _check_parts(self) -> None:
        student, teacher = self.backbone, self.teacher
        if not hasattr(student, 'hidden_states'):
            raise ValueError(
                f'MaskAlign: {type(student).__name__} cannot drop patches; use SinCosViT'
            )
        if len(student.layers) != teacher.depth:
            raise ValueError(
                f'MaskAlign: the student has {len(student.layers)} blocks and the teacher '
                f'{teacher.depth}, but their layers are aligned one by one; use equal depths'
            )
        grid = tuple(student.patch_resolution)
        if grid != tuple(teacher.grid):
            raise ValueError(
                f'MaskAlign: the student has {grid} patches and the teacher {teacher.grid}; set '
                "img_size of the teacher's backbone to the student's grid times its own patch size"
            )
        if getattr(teacher, 'mean', None) is not None:  # a module of one's own may have none
            teacher.expect_normalised_by(self.data_preprocessor, 'MaskAlign')

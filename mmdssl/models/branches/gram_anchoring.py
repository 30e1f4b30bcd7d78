"""Gram anchoring: which patches are alike stays as it was (DINOv3, arXiv 2508.10104).

Long training improves features of images and wears down those of patches. The matrix of cosines
between all patches of an image is therefore held to that of an earlier teacher:

    L = mean over images and pairs of patches of  (S S^T - T T^T)^2

S, T: (P, D) unit vectors of the student's patches (after the last norm, before any head, those
behind mask tokens included) and of the Gram teacher's, a frozen copy of the host's teacher, in
evaluation mode. It sees the whole crop, at twice the resolution in the paper; its map is brought
to the student's grid (bicubic) before vectors are brought to unit length.

The paper prints the sum over pairs; its code takes the mean, which the weight of 2 belongs to.
Training there takes the teacher of 100-200 thousand iterations when a million are done, lets the
weight rise to 2 within 1000 iterations, and takes the present teacher again three times, every
10 thousand:

    dict(type='GramAnchoring', weight=2.0, start=1_000_000, warmup=1000, teacher_from=200_000,
         refresh_every=10_000, refresh_start=1_010_000, refresh_times=3, sees='raw')

The defaults are for going on from given weights: the Gram teacher is the teacher of the first
iteration.
"""

import copy
from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from mmengine import dist
from mmengine.logging import print_log
from torch import Tensor, nn

from mmdssl.core.hub import is_there
from mmdssl.models.branches.branch import Branch, Sees, shown, student_map
from mmdssl.models.chosen_cells import choose_cells
from mmdssl.models.dense_host import DenseHost
from mmdssl.models.utils.backbone_weights import load_backbone
from mmdssl.models.utils.collectives import broadcast
from mmdssl.models.utils.host_copies import HostCopies
from mmdssl.models.utils.setting_checks import SettingChecks
from mmdssl.registry import MODELS

__all__ = ['GramAnchoring', 'gram_loss', 'map_to_grid']

Negatives = Literal['keep', 'clamp', 'clamp_teacher']


def gram_loss(
    student: Float[Tensor, '*b p _'],
    teacher: Float[Tensor, '*b p _'],
    *,
    normalise: bool = True,
    negatives: Negatives = 'keep',
    reduction: Literal['mean', 'sum'] = 'mean',
) -> Float[Tensor, '']:
    """Squared difference of two matrices of similarities.

    Args:
        student: (B, P, D), or (M, D) of one matrix.
        teacher: The same of the teacher, whose width may differ; no gradient reaches it.
        normalise: Compare cosines instead of inner products.
        negatives: ``'clamp'``: negative similarities become 0 on both sides;
            ``'clamp_teacher'``: the teacher's alone.
        reduction: Mean or sum over the pairs of a matrix; of several matrices the mean is taken.

    Returns:
        Scalar, float32 (float64 for float64), whatever autocast says; 0 without any patch.
    """
    wide = torch.float64 if student.dtype == torch.float64 else torch.float32
    with torch.autocast(student.device.type, enabled=False):
        student, teacher = student.to(wide), teacher.detach().to(wide)
        if normalise:
            student, teacher = F.normalize(student, dim=-1), F.normalize(teacher, dim=-1)
        own = student @ student.transpose(-2, -1)  # (.., P, P)
        wanted = teacher @ teacher.transpose(-2, -1)
        if negatives != 'keep':
            wanted = wanted.clamp_min(0)
        if negatives == 'clamp':
            own = own.clamp_min(0)
        terms = own.numel() if reduction == 'mean' else own.shape[:-2].numel()
        return (own - wanted).square().sum() / max(terms, 1)


def map_to_grid(
    features: Float[Tensor, 'b d _ _'], grid: Sequence[int], *, antialias: bool = False
) -> Float[Tensor, 'b d h w']:
    """A map (B, D, H, W) on a grid (h, w), bicubic, in float32 or more; as it is if it fits."""
    if tuple(features.shape[2:]) == tuple(grid):
        return features
    features = features if features.dtype == torch.float64 else features.float()
    size = (grid[0], grid[1])
    return F.interpolate(features, size, mode='bicubic', align_corners=False, antialias=antialias)


@MODELS.register_module()
class GramAnchoring(Branch):
    """Holds the student's patch-to-patch similarities to those of an earlier teacher.

    Args:
        weight: Of the loss, at least 0.
        reduction: Over pairs of patches: ``'mean'`` (DINOv3's code, which the weight of 2 belongs
            to); ``'sum'`` (the paper's formula, P^2 times as much).
        views: Views that are compared; None: those of which the host has the student's map (local
            crops left out), else those with teacher targets.
        level: ``'image'``: a matrix for each image; ``'batch'``: one of all patches of a view's
            images on this process.
        tokens: ``'masked'``, ``'unmasked'``: only patches that the student saw as mask tokens
            (``inputs['mask']``), or only the others; both at the level of the batch.
        normalise: See :func:`gram_loss`.
        negatives: See :func:`gram_loss`.
        scale: Resolution at which the Gram teacher sees a view, as a multiple of the student's
            (1 costs a quarter); views are enlarged (bicubic) where they are not given so large.
        sees: ``'view'``: the pixels that the student sees; ``'raw'``: without changed colours (as
            in the paper), which needs ``keep_raw=True`` in the MultiViewPreprocessor, and in full
            resolution where that shrinks the views for the student (``student_size``).
        antialias: Of the way back to the student's grid.
        source: Which backbone of the host the Gram teacher is a copy of; ``'student'`` for hosts
            whose teacher does not learn.
        teacher_from: Iteration at whose beginning it is copied (0: the weights that training
            starts from). Also the beginning of an iteration is meant below.
        checkpoint: File that the Gram teacher is read from instead, see :func:`load_backbone`.
        refresh_every: It is copied anew in iterations that this divides; None: never.
        refresh_start: First iteration in which that may happen; None: ``start`` (in iterations)
            or ``teacher_from``, whichever is later, plus ``refresh_every``.
        refresh_times: How often at most; None: without end.
        **timing: ``start``, ``end``, ``by_epoch``, ``warmup``, ``name``, ``init_cfg``, see
            :class:`Branch`.

    The Gram teacher is part of checkpoints (``branches.gram.teacher.*``); when it is copied depends
    on the iteration alone, so that a resumed run goes on as if it had not stopped.
    """

    name = 'gram'

    def __init__(
        self,
        *,
        weight: float = 2.0,
        reduction: Literal['mean', 'sum'] = 'mean',
        views: Sequence[int] | None = None,
        level: Literal['image', 'batch'] = 'image',
        tokens: Literal['all', 'masked', 'unmasked'] = 'all',
        normalise: bool = True,
        negatives: Negatives = 'keep',
        scale: float = 2,
        sees: Sees = 'view',
        antialias: bool = False,
        source: Literal['teacher', 'student'] = 'teacher',
        teacher_from: int = 0,
        checkpoint: str | None = None,
        refresh_every: int | None = None,
        refresh_start: int | None = None,
        refresh_times: int | None = None,
        **timing: Any,
    ) -> None:
        super().__init__(weight=weight, **timing)
        check = SettingChecks('GramAnchoring')
        check.choice('reduction', reduction, ('mean', 'sum'))
        check.choice('level', level, ('image', 'batch'))
        check.choice('tokens', tokens, ('all', 'masked', 'unmasked'))
        check.choice('negatives', negatives, ('keep', 'clamp', 'clamp_teacher'))
        check.choice('sees', sees, ('view', 'raw'))
        check.choice('source', source, ('teacher', 'student'))
        check.at_least('scale', scale, 1)
        check.at_least('teacher_from', teacher_from, 0)
        if refresh_every is None and (refresh_start, refresh_times) != (None, None):
            raise ValueError(
                'GramAnchoring: refresh_start and refresh_times say nothing without refresh_every; '
                'give it, or leave them out'
            )
        for setting, value in (('refresh_every', refresh_every), ('refresh_times', refresh_times)):
            if value is not None:
                check.at_least(setting, value, 1)
        start = 0 if self.by_epoch else self.start
        if not self.by_epoch and checkpoint is None and start < teacher_from:
            raise ValueError(
                f'GramAnchoring: start={start} comes before teacher_from={teacher_from}, when no '
                'Gram teacher has been taken; start later, or take the teacher earlier'
            )
        self.views = None if views is None else tuple(views)
        self.level, self.tokens = level, tokens
        self.normalise, self.negatives, self.reduction = normalise, negatives, reduction
        self.scale, self.sees, self.antialias = scale, sees, antialias
        self.source, self.teacher_from, self.checkpoint = source, teacher_from, checkpoint
        self.refresh_every, self.refresh_times = refresh_every, refresh_times
        if refresh_every is not None and refresh_start is None:
            refresh_start = max(teacher_from, start) + refresh_every
        self.refresh_start = refresh_start

    def check_host(self, host: DenseHost) -> None:
        """Refuse a host whose teacher does not learn, unless the student is copied."""
        if self.source == 'teacher' and not hasattr(host, 'update_teacher'):
            raise ValueError(
                f'GramAnchoring: the teacher of {type(host).__name__} is frozen, no earlier one '
                "differs from it; set source='student'"
            )

    def bind(self, host: DenseHost) -> None:
        """Make the copy; without a mask token, as it sees whole images."""
        teacher: Any = copy.deepcopy(host.backbone)
        if getattr(teacher, 'mask_token', None) is not None:
            teacher.mask_token = None
        _hold(teacher)
        teacher.eval()
        self.teacher = teacher

    def init_weights(self) -> None:
        """Read the file, if one is given; otherwise nothing: the host's weights are copied."""
        if self.checkpoint is None:
            return
        if not is_there(self.checkpoint):
            raise FileNotFoundError(
                f'GramAnchoring: no file {self.checkpoint}; give another as checkpoint=FILE, or '
                'leave it out to copy the teacher at teacher_from'
            )
        report = load_backbone(self.teacher, self.checkpoint)
        print_log(f'Gram teacher from {self.checkpoint}: {report}', logger='current')

    def origin(self) -> str:
        """The Gram teacher's."""
        if self.checkpoint is not None:
            return f'from {self.checkpoint}'
        return f'a copy of the {self.source} of iteration {self.teacher_from}'

    def train(self, mode: bool = True) -> 'GramAnchoring':
        """The Gram teacher stays in evaluation mode, whatever the host is told."""
        return super().train(False) if hasattr(self, 'teacher') else super().train(mode)

    def observe(self, host: DenseHost, *, step: int) -> None:
        """Take the host's present teacher, if this is the iteration to."""
        if self.is_taken(step):
            self.take(host.get_backbone(self.source))

    def is_taken(self, step: int) -> bool:
        """Whether the Gram teacher is copied at the beginning of an iteration."""
        if step == self.teacher_from and self.checkpoint is None:
            return True
        if self.refresh_every is None or self.refresh_start is None:
            return False
        if step < self.refresh_start or step % self.refresh_every:
            return False
        before = -(-self.refresh_start // self.refresh_every)  # multiples up to the first, it too
        done = step // self.refresh_every - before
        return self.refresh_times is None or done < self.refresh_times

    @torch.no_grad()
    def take(self, backbone: nn.Module) -> None:
        """Become a copy of a backbone; of BatchNorm's statistics those of the first process.

        Weights are equal on all processes, statistics need not be.
        """
        state = backbone.state_dict()
        measured = {name for name, _ in backbone.named_buffers()}
        statistics = []
        for name, parameter in self.teacher.named_parameters():
            parameter.copy_(state[name])
            if name in measured:
                statistics.append(parameter)
        if statistics and dist.get_world_size() > 1:
            flat = torch.cat([one.flatten() for one in statistics])
            broadcast(flat)
            parts = flat.split([one.numel() for one in statistics])
            for one, part in zip(statistics, parts, strict=True):
                one.copy_(part.view_as(one))

    def compute(
        self, host: DenseHost, inputs: dict, targets: Any, *, step: int
    ) -> Float[Tensor, '']:
        """Mean over the views of :func:`gram_loss`."""
        views = self.views or tuple(getattr(targets, 'student', None) or targets)
        if self.views is None:  # local crops have no part in it
            size = inputs['views'][views[0]].shape
            views = tuple(view for view in views if inputs['views'][view].shape == size)
        losses = []
        for view in views:
            student = student_map(host, inputs, targets, view)  # (N, D, h, w)
            teacher = self.teacher_map(host, inputs, view, student.shape[2:])
            one, other = (x.flatten(2).transpose(1, 2) for x in (student, teacher))  # (N, P, D)
            losses.append(self._loss(inputs, view, one, other))
        return torch.stack(losses).mean()

    @torch.no_grad()
    def teacher_map(
        self, host: DenseHost, inputs: dict, view: int, grid: Sequence[int]
    ) -> Float[Tensor, 'n d h w']:
        """The Gram teacher's map of a view on the student's grid (h, w): (N, D, h, w)."""
        size = [round(side * self.scale) for side in inputs['views'][view].shape[2:]]
        images = shown(inputs, view, self.sees)
        if list(images.shape[2:]) != size:
            images = F.interpolate(images, size, mode='bicubic', antialias=True)
        return map_to_grid(host.dense_map(self.teacher, images), grid, antialias=self.antialias)

    def _loss(
        self,
        inputs: dict,
        view: int,
        student: Float[Tensor, 'n p _'],
        teacher: Float[Tensor, 'n p _'],
    ) -> Float[Tensor, '']:
        """Of one view, (N, P, D) both."""
        if self.tokens != 'all':
            masks = inputs.get('mask')
            if masks is None or view >= len(masks):
                raise ValueError(
                    f"GramAnchoring: tokens={self.tokens!r} needs inputs['mask'] of view {view}; "
                    "add 'mask' to the keys of PackViews, or set tokens='all'"
                )
            chosen = HostCopies.of(inputs, 'mask')[view].flatten(1).bool()
            chosen = chosen if self.tokens == 'masked' else ~chosen
            cells = choose_cells(chosen, device=student.device)
            student, teacher = cells.rows(student), cells.rows(teacher)  # (M, D)
        elif self.level == 'batch':
            student, teacher = student.flatten(0, 1), teacher.flatten(0, 1)
        return gram_loss(
            student,
            teacher,
            normalise=self.normalise,
            negatives=self.negatives,
            reduction=self.reduction,
        )


def _hold(module: nn.Module) -> None:
    """Freeze a network; statistics of BatchNorm become parameters of the same names.

    What a forward pass may write, all buffers, is put back after a step that is not finite. This
    network is written between steps, and has to keep what it was given.
    """
    module.requires_grad_(False)
    for part in module.modules():
        for name, buffer in list(part.named_buffers(recurse=False)):
            if buffer.is_floating_point() and name not in part._non_persistent_buffers_set:
                delattr(part, name)
                part.register_parameter(name, nn.Parameter(buffer, requires_grad=False))

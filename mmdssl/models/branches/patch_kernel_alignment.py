"""Patch-kernel alignment: relations between patches agree with the teacher's (arXiv 2509.05606).

With Z (N, D) the vectors of the N cells of an image, K = Z Z^T, H = I - 11^T / N:

    L = mean over images of  1 - <H K_s H, H K_t H> / (norm(H K_s H) norm(H K_t H))

the centred kernel alignment of student and teacher: what a rotation, one scale or a common shift
of all cells changes does not count. Norms are those of Frobenius.

The paper compares a student's crop with a clean larger crop that contains it. So with
``pairs='overlap'``: what two crops share is cut out of both maps by RoIAlign, on the student's
grid. With ``pairs='same'`` both nets are compared at the cells of one view. The teacher is the
host's moving average, whose pass is there already. How the paper weighs this loss against that of
its host is not known to us: 1 is ours.
"""

import copy
from collections.abc import Sequence
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torchvision.ops import roi_align

from mmdssl.core.step_generator import step_generator
from mmdssl.models.branches.branch import Branch, Sees, student_map, teacher_map
from mmdssl.models.dense_host import DenseHost
from mmdssl.models.utils.setting_checks import SettingChecks
from mmdssl.registry import MODELS

__all__ = [
    'PatchKernelAlignment',
    'kernel_alignment',
    'kernel_alignment_loss',
    'overlap_cells',
    'shared_cells',
]

_CELLS = 0xD1B54A32D192ED03  # of step_generator


def kernel_alignment(
    student: Float[Tensor, 'b n _'],
    teacher: Float[Tensor, 'b n _'],
    *,
    counts: Bool[Tensor, 'b n'] | None = None,
    eps: float = 1e-6,
) -> tuple[Float[Tensor, ' b'], Bool[Tensor, ' b']]:
    """Centred kernel alignment of each image.

    Args:
        student: (B, N, D).
        teacher: (B, N, D'); no gradient reaches it.
        counts: (B, N) bool, the cells that take part; None: all.
        eps: Least value of a squared norm.

    Returns:
        (B,) from 0 to 1, float32 (float64 for float64) whatever autocast says, and (B,) bool, which
        images have at least the two cells that it takes.
    """
    wide = torch.float64 if student.dtype == torch.float64 else torch.float32
    with torch.autocast(student.device.type, enabled=False):
        student, teacher = student.to(wide), teacher.detach().to(wide)
        if counts is None:
            counts = student.new_ones(student.shape[:2], dtype=torch.bool)
        one, other = _centred(student, counts), _centred(teacher, counts)
        norms = [_product(x, x).clamp_min(eps).sqrt() for x in (one, other)]
        return _product(one, other) / (norms[0] * norms[1]), counts.sum(dim=1) >= 2


def kernel_alignment_loss(
    parts: Sequence[tuple[Float[Tensor, ' _'], Bool[Tensor, ' _']]],
) -> Float[Tensor, '']:
    """1 - alignment, mean over the images that count.

    Args:
        parts: (B,) alignments and (B,) bool which of them count, of one or several batches.

    Returns:
        Scalar; 0, with zero gradients, if none counts.
    """
    alignment = torch.cat([one for one, _ in parts])
    counts = torch.cat([one for _, one in parts]).to(alignment.dtype)
    return ((1 - alignment) * counts).sum() / counts.sum().clamp_min(1)


def _centred(
    vectors: Float[Tensor, 'b n d'], counts: Bool[Tensor, 'b n']
) -> Float[Tensor, 'b n d']:
    """Vectors (B, N, D) less the mean of those that count; the others are 0."""
    keep = counts[..., None]
    mean = (vectors * keep).sum(dim=1, keepdim=True) / keep.sum(dim=1, keepdim=True).clamp_min(1)
    return (vectors - mean) * keep


def _product(one: Float[Tensor, 'b n _'], other: Float[Tensor, 'b n _']) -> Float[Tensor, ' b']:
    """<X X^T, Y Y^T> of centred vectors (B, N, D), (B, N, D'): (B,), by the smaller products."""
    if max(one.shape[2], other.shape[2]) < one.shape[1]:
        return (one.transpose(1, 2) @ other).square().sum(dim=(1, 2))
    return ((one @ one.transpose(1, 2)) * (other @ other.transpose(1, 2))).sum(dim=(1, 2))


def overlap_cells(
    student: Float[Tensor, 'n 4'],
    teacher: Float[Tensor, 'n 4'],
    grids: tuple[Sequence[int], Sequence[int]],
) -> tuple[Float[Tensor, 'n 4'], Float[Tensor, 'n 4'], Bool[Tensor, ' n']]:
    """What two crops share, in cells of both maps.

    Args:
        student: (N, 4) crops x1 y1 x2 y2 in pixels of the image.
        teacher: (N, 4) the others.
        grids: (h, w) of both maps.

    Returns:
        Boxes (N, 4) on the student's grid and on the teacher's, and (N,) bool whether at least one
        cell of the student is shared along each axis; boxes of others are turned inside out.
    """
    near = torch.maximum(student[:, :2], teacher[:, :2])
    far = torch.minimum(student[:, 2:], teacher[:, 2:])
    boxes = []
    for crop, (height, width) in zip((student, teacher), grids, strict=True):
        scale = crop.new_tensor((width, height)) / (crop[:, 2:] - crop[:, :2])  # (N, 2)
        boxes.append(torch.cat(((near - crop[:, :2]) * scale, (far - crop[:, :2]) * scale), dim=1))
    shared = (boxes[0][:, 2:] - boxes[0][:, :2] >= 1).all(dim=1)
    return boxes[0], boxes[1], shared


def shared_cells(
    maps: Float[Tensor, 'n c h w'], boxes: Float[Tensor, 'n 4'], grid: Sequence[int]
) -> Float[Tensor, 'n p c']:
    """Cells of a box of each map, by RoIAlign (half-pixel aligned, adaptive sampling).

    Args:
        maps: (N, C, h, w).
        boxes: (N, 4) x1 y1 x2 y2 in cells of the map.
        grid: (h', w') of the result.

    Returns:
        (N, h' * w', C), row-major, float32 or more.
    """
    maps = maps if maps.dtype == torch.float64 else maps.float()
    index = torch.arange(len(maps), device=maps.device, dtype=maps.dtype)
    rois = torch.cat((index[:, None], boxes.to(maps.dtype)), dim=1)
    with torch.autocast(maps.device.type, enabled=False):
        cells = roi_align(maps, rois, (grid[0], grid[1]), sampling_ratio=-1, aligned=True)
    return cells.flatten(2).transpose(1, 2)


@MODELS.register_module()
class PatchKernelAlignment(Branch):
    """Aligns the student's kernel of patches with that of the host's teacher.

    Args:
        weight: Of the loss, at least 0.
        pairs: ``'same'``: the cells of one view in both nets; ``'overlap'``: those that a view of
            the student and another view of the teacher share, which needs ``inputs['crop_box']``
            and ``inputs['flip']`` (add them to the keys of PackViews).
        views: Views of the teacher; None: those of which the host has its map, else those with
            teacher targets.
        student_views: With ``'overlap'``, views of the student; None: those of which the host has
            its map, local crops included, else ``views``.
        containment: With ``'overlap'``, the share of the student's crop that has to lie in the
            teacher's, from 0 to 1.
        sees: ``'view'``: the teacher sees the student's pixels, in the host's own pass; ``'raw'``:
            without changed colours, as in the paper, which costs a pass of the teacher and needs
            ``keep_raw=True`` in the MultiViewPreprocessor.
        max_cells: Most cells of an image, drawn anew each step; None: all.
        head: ``dict(hidden_channels=2048, out_channels=256)`` as in the paper: three linear layers
            and GELU on the aligned cells, and the moving average of the host on the teacher's
            side; None: backbone features themselves.
        **timing: ``start``, ``end``, ``by_epoch``, ``warmup``, ``name``, ``init_cfg``, see
            :class:`Branch`.
    """

    name = 'patch_kernel'

    def __init__(
        self,
        *,
        weight: float = 1.0,
        pairs: Literal['same', 'overlap'] = 'same',
        views: Sequence[int] | None = None,
        student_views: Sequence[int] | None = None,
        containment: float = 0.9,
        sees: Sees = 'view',
        max_cells: int | None = None,
        head: dict | None = None,
        **timing: Any,
    ) -> None:
        super().__init__(weight=weight, **timing)
        check = SettingChecks('PatchKernelAlignment')
        check.choice('pairs', pairs, ('same', 'overlap'))
        check.choice('sees', sees, ('view', 'raw'))
        if not 0 <= containment <= 1:
            raise ValueError(f'PatchKernelAlignment: containment is {containment}, give 0 to 1')
        if max_cells is not None:
            check.at_least('max_cells', max_cells, 2)
        if pairs == 'same' and student_views is not None:
            raise ValueError(
                "PatchKernelAlignment: student_views have a meaning with pairs='overlap' only; "
                'give views'
            )
        settings = dict(head or {})
        self.hidden_channels = settings.pop('hidden_channels', 2048)
        self.out_channels = settings.pop('out_channels', 256)
        if settings:
            raise ValueError(
                f'PatchKernelAlignment: head has unknown settings {sorted(settings)}; it takes '
                'hidden_channels and out_channels'
            )
        self.pairs, self.sees = pairs, sees
        self.views = None if views is None else tuple(views)
        self.student_views = None if student_views is None else tuple(student_views)
        self.containment, self.max_cells = containment, max_cells
        self.with_head = head is not None
        self.head: nn.Module = nn.Identity()

    def check_host(self, host: DenseHost) -> None:
        """Refuse a head beside a teacher that could not follow it."""
        if self.with_head and not hasattr(host, 'update_teacher'):
            raise ValueError(
                f'PatchKernelAlignment: the teacher of {type(host).__name__} is frozen and cannot '
                'follow a head; set head=None'
            )

    def bind(self, host: DenseHost) -> None:
        """Build the head for the width of the host's maps, which one small pass tells."""
        if not self.with_head:
            return
        size = getattr(host.backbone, 'img_size', 64)
        height, width = (size, size) if isinstance(size, int) else size
        probe = copy.deepcopy(host.backbone)  # so that the host's own is not touched
        probe.eval()
        with torch.no_grad():
            channels = host.dense_map(probe, torch.zeros(1, 3, height, width)).shape[1]
        hidden = self.hidden_channels
        self.head = nn.Sequential(
            nn.Linear(channels, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, self.out_channels),
        )

    def init_weights(self) -> None:
        """Keep the scale of the features at any width; how the paper's head starts is not known."""
        for layer in self.head.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=layer.in_features**-0.5)
                nn.init.zeros_(layer.bias)

    def followed(self) -> dict[str, nn.Module]:
        """The head."""
        return {'head': self.head} if self.with_head else {}

    def compute(
        self, host: DenseHost, inputs: dict, targets: Any, *, step: int
    ) -> Float[Tensor, '']:
        """:func:`kernel_alignment_loss` over all pairs of views."""
        views = self.views or tuple(getattr(targets, 'teacher', None) or targets)
        others = views
        if self.pairs == 'overlap':
            others = self.student_views or tuple(getattr(targets, 'student', None) or views)
        seen = {view: student_map(host, inputs, targets, view) for view in others}
        parts = []
        for view in views:
            taught = teacher_map(host, inputs, targets, view, sees=self.sees)
            for other in others:
                if (other == view) == (self.pairs == 'same'):
                    parts.append(self._pair(host, inputs, seen[other], taught, (other, view), step))
        if not parts:
            raise ValueError(
                f'PatchKernelAlignment: views {views} of the teacher and {others} of the student '
                f'make no pair with pairs={self.pairs!r}; give others'
            )
        return kernel_alignment_loss(parts)

    def _pair(
        self,
        host: DenseHost,
        inputs: dict,
        student: Float[Tensor, 'n _ h w'],
        teacher: Float[Tensor, 'n _ h2 w2'],
        views: tuple[int, int],
        step: int,
    ) -> tuple[Float[Tensor, ' n'], Bool[Tensor, ' n']]:
        """Alignment of two maps (N, C, h, w), (N, C', h', w'), and which images count."""
        inside = None
        if self.pairs == 'overlap':
            student, teacher, inside = self._overlap(inputs, student, teacher, views)
        else:
            student, teacher = (x.flatten(2).transpose(1, 2) for x in (student, teacher))
        if self.max_cells is not None and self.max_cells < student.shape[1]:
            order = torch.randperm(student.shape[1], generator=step_generator(step, _CELLS))
            chosen = order[: self.max_cells].to(student.device)
            student, teacher = student[:, chosen], teacher[:, chosen]
        if self.with_head:
            student = self.head(student)
            with torch.no_grad():
                teacher = host.teacher.get_submodule(f'{self.name}_head')(teacher)
        alignment, usable = kernel_alignment(student, teacher)
        return alignment, usable if inside is None else usable & inside

    def _overlap(
        self,
        inputs: dict,
        student: Float[Tensor, 'n c h w'],
        teacher: Float[Tensor, 'n c2 h2 w2'],
        views: tuple[int, int],
    ) -> tuple[Float[Tensor, 'n p c'], Float[Tensor, 'n p c2'], Bool[Tensor, ' n']]:
        """Shared cells (N, P, C), (N, P, C') on the student's grid; which crops lie inside."""
        for key in ('crop_box', 'flip'):
            if key not in inputs or max(views) >= len(inputs[key]):
                raise ValueError(
                    f"PatchKernelAlignment: pairs='overlap' needs inputs[{key!r}] of every view; "
                    f'add {key!r} to the keys of PackViews'
                )
        maps = []
        for features, view in zip((student, teacher), views, strict=True):
            across, down = inputs['flip'][view].bool().T[..., None, None, None]  # (N, 1, 1, 1)
            features = torch.where(across, features.flip(3), features)
            maps.append(torch.where(down, features.flip(2), features))
        grids = [x.shape[2:] for x in maps]
        crops = [inputs['crop_box'][view] for view in views]
        own, its, shared = overlap_cells(crops[0], crops[1], (grids[0], grids[1]))
        height, width = grids[0]
        part = (own[:, 2:] - own[:, :2]).clamp_min(0).prod(dim=1) / (height * width)
        # What rounding takes from a crop that lies wholly inside does not count.
        inside = shared & (part >= self.containment - 1e-6)
        cells = []
        for features, box, grid in zip(maps, (own, its), grids, strict=True):
            whole = box.new_tensor((0, 0, grid[1], grid[0]))
            box = torch.where(inside[:, None], box, whole)  # of others nothing is used
            cells.append(shared_cells(features, box, grids[0]))
        return cells[0], cells[1], inside

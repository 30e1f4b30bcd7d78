"""Leopart's loss: the student predicts, where two views overlap, the teacher's clusters.

For global view g and another view v (Leopart, CVPR 2022; "Mind Your Augmentation" (ICLR 2024),
Eq. 18), with the overlap of both cut out of the teacher's assignment map of g and of the
student's score map of v by RoIAlign,

    L_gv = mean over foreground cells of  -q_g log softmax(s_v / temperature),

averaged over v != g and over g. All pairs go through RoIAlign together.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchvision.ops import roi_align

__all__ = [
    'align_overlaps',
    'assignment_cross_entropy',
    'pairs_of_views',
    'predicted_overlaps',
    'region_assignment_loss',
]


def assignment_cross_entropy(
    assignments: Float[Tensor, '*n'],
    scores: Float[Tensor, '*n'],
    *,
    temperature: float,
    dim: int = -1,
) -> Float[Tensor, '...']:
    """Cross entropy -q log softmax(s / temperature) over ``dim``, in float32 or more."""
    scores = scores if scores.dtype == torch.float64 else scores.float()
    return -(assignments * F.log_softmax(scores / temperature, dim=dim)).sum(dim=dim)


def region_assignment_loss(
    assignments: Float[Tensor, 'g n k h w'],
    scores: Sequence[Float[Tensor, 'n k _ _']],
    boxes_in_global: Float[Tensor, 'n g v 4'],
    boxes_in_other: Float[Tensor, 'n v g 4'],
    *,
    masks: Bool[Tensor, 'g n h w'] | None,
    patch_size: int,
    temperature: float = 0.1,
    roi_size: int = 7,
    tolerance: float = 1e-4,
) -> Float[Tensor, '']:
    """The loss of all pairs of a global view and another view.

    Args:
        assignments: (G, N, K, h, w) teacher assignments of the global views.
        scores: Student scores of every view, globals first, (N, K, h_v, w_v) each.
        boxes_in_global: (N, G, V, 4) overlap of global g and view v, x1 y1 x2 y2 in pixels of g.
        boxes_in_other: (N, V, G, 4) the same overlap in pixels of v.
        masks: (G, N, h, w) bool, True = foreground of global g; None: all cells count.
        patch_size: Pixels per side of a map cell.
        temperature: Of the student's softmax.
        roi_size: Cells per side that RoIAlign cuts out of an overlap.
        tolerance: A cell counts if its RoIAligned mask is at least ``1 - tolerance``. 0 is the
            published rule, which loses 1-3 % of the covered cells to rounding.

    Returns:
        Scalar; a pair without foreground adds 0.
    """
    count, size = assignments.shape[:2]
    first, other = pairs_of_views(count, len(scores))
    # (N, P, 4) -> (P, N, 4)
    there = boxes_in_global[:, first, other].transpose(0, 1)
    here = boxes_in_other[:, other, first].transpose(0, 1)

    targets = assignments.flatten(0, 1)  # (G * N, K, h, w)
    if masks is not None:  # one more channel: every channel is aligned alike
        targets = torch.cat((targets, masks.flatten(0, 1)[:, None].to(targets.dtype)), dim=1)
    targets = align_overlaps(
        targets, first, there, size, patch_size, roi_size
    )  # (P, N, K (+ 1), r, r)
    predicted = predicted_overlaps(scores, other, here, patch_size, roi_size)  # (P, N, K, r, r)
    if masks is None:
        return assignment_cross_entropy(targets, predicted, temperature=temperature, dim=2).mean()
    loss = assignment_cross_entropy(targets[:, :, :-1], predicted, temperature=temperature, dim=2)
    counts = (targets[:, :, -1] >= 1 - tolerance).to(loss.dtype)  # (P, N, r, r)
    per_pair = (loss * counts).sum(dim=(1, 2, 3)) / counts.sum(dim=(1, 2, 3)).clamp_min(1)
    return per_pair.mean()


def pairs_of_views(count: int, views: int) -> Int[Tensor, '2 p']:
    """Each of the first ``count`` views with each other one of ``views``: int64, on the CPU."""
    pairs = torch.cartesian_prod(torch.arange(count), torch.arange(views))
    return pairs[pairs[:, 0] != pairs[:, 1]].T


def predicted_overlaps(
    scores: Sequence[Float[Tensor, 'n k _ _']],
    other: Int[Tensor, ' p'],
    boxes: Float[Tensor, 'p n 4'],
    patch_size: int,
    roi_size: int,
) -> Float[Tensor, 'p n k r r']:
    """Student scores of the overlaps (P, N, K, r, r), one RoIAlign per size of the maps."""
    alike: dict[torch.Size, list[int]] = {}
    for view, map_ in enumerate(scores):
        alike.setdefault(map_.shape, []).append(view)
    parts, rows = [], []
    for views in alike.values():
        maps = torch.cat([scores[view] for view in views])  # (n_v * N, K, h, w)
        place = torch.full((len(scores),), -1)
        place[views] = torch.arange(len(views))
        chosen = (place[other] >= 0).nonzero()[:, 0]
        if len(chosen):
            index = place[other[chosen]]
            size = len(scores[0])
            parts.append(align_overlaps(maps, index, boxes[chosen], size, patch_size, roi_size))
            rows.append(chosen)
    return torch.cat(parts)[torch.cat(rows).argsort()]


def align_overlaps(
    maps: Float[Tensor, 'vn c h w'],
    view: Int[Tensor, ' p'],
    boxes: Float[Tensor, 'p n 4'],
    size: int,
    patch_size: int,
    roi_size: int,
) -> Float[Tensor, 'p n c r r']:
    """RoIAlign of boxes (P, N, 4) out of maps (views * N, C, h, w), view by view.

    ``view`` (P,) says which view's maps a pair reads. Returns (P, N, C, r, r).
    """
    maps = maps if maps.dtype == torch.float64 else maps.float()
    image = view[:, None] * size + torch.arange(size)  # (P, N)
    rois = torch.cat((image.flatten()[:, None].to(maps), boxes.flatten(0, 1).to(maps)), dim=1)
    cells = roi_align(maps, rois, roi_size, spatial_scale=1 / patch_size, aligned=True)
    return cells.unflatten(0, (*view.shape, size))

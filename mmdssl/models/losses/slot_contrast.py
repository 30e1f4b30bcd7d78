"""The two losses of SlotCon (NeurIPS 2022): agreement of assignments, and of slots.

For a student view and a teacher view of the same images, with scores d (cosines with K
prototypes) of every cell:

* grouping: at the same place of the image, cross entropy between softmax((d_t - centre) / t_t) and
  softmax(d_s / t_s) over the K prototypes. Same places are found by RoIAlign of what both views
  show, mirrored back where a view was mirrored.
* contrast: slot k of the student's view, through a predictor, against slot k of the teacher's;
  the negatives are all slots of the batch. A slot counts in an image if it is the best of the K
  for at least one cell.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from mmengine import dist
from torch import Tensor, nn

from mmdssl.models.losses.region_assignment import assignment_cross_entropy
from mmdssl.models.utils.collectives import all_gather
from mmdssl.models.utils.region_features import box_cells

__all__ = ['aligned_scores', 'counted_slots', 'grouping_loss', 'slot_contrast_loss']


def aligned_scores(
    scores: Float[Tensor, 'n k h w'], boxes: Float[Tensor, 'n 4'], flip: Bool[Tensor, 'n 2']
) -> Float[Tensor, 'n k h w']:
    """Scores of the part of a view that the other one shows too, in the image's orientation.

    Args:
        scores: (N, K, h, w) of the view as it is shown.
        boxes: (N, 4) that part in shares of the view, x1 y1 x2 y2.
        flip: (N, 2) bool, whether the view is mirrored horizontally and vertically.
    """
    size = (scores.shape[2], scores.shape[3])
    cells = box_cells(scores, boxes[:, None], image_size=(1, 1), output_size=size)
    for axis, mirrored in ((3, flip[:, 0]), (2, flip[:, 1])):
        cells = torch.where(mirrored[:, None, None, None], cells.flip(axis), cells)
    return cells


def grouping_loss(
    student: Float[Tensor, 'n k h w'],
    teacher: Float[Tensor, 'n k h w'],
    centre: Float[Tensor, '1 k'],
    counts: Bool[Tensor, ' n'],
    *,
    student_temperature: float,
    teacher_temperature: float,
) -> Float[Tensor, '']:
    """Mean over the cells of the images that count; 0 where none does.

    Args:
        student: (N, K, h, w) scores at the same places as the teacher's.
        teacher: (N, K, h, w), without gradient.
        centre: (1, K) that is subtracted from the teacher's.
        counts: (N,) bool, images whose views have a part in common.
        student_temperature: t_s.
        teacher_temperature: t_t.
    """
    targets = ((teacher - centre[..., None, None]) / teacher_temperature).softmax(dim=1)
    losses = assignment_cross_entropy(targets, student, temperature=student_temperature, dim=1)
    weights = counts.to(losses.dtype)
    return (losses.mean(dim=(1, 2)) * weights).sum() / weights.sum().clamp_min(1)


def counted_slots(scores: Float[Tensor, 'n k h w']) -> Bool[Tensor, 'n k']:
    """Which slots are the best for at least one cell of an image: (N, K) bool."""
    best = scores.argmax(dim=1).flatten(1)  # (N, S)
    return torch.zeros_like(scores[:, :, 0, 0], dtype=torch.bool).scatter_(1, best, True)


def slot_contrast_loss(
    slots: Float[Tensor, 'n k d'],
    keys: Float[Tensor, 'n k d'],
    counted: Bool[Tensor, 'n k'],
    key_counted: Bool[Tensor, 'n k'],
    predictor: nn.Module,
    *,
    temperature: float,
) -> Float[Tensor, '']:
    """InfoNCE of the slots that count in both views, times twice the temperature.

    Args:
        slots: (N, K, D) of the student's view, of any length.
        keys: (N, K, D) of the teacher's view, without gradient.
        counted: (N, K) bool of the student's view.
        key_counted: (N, K) bool of the teacher's view.
        predictor: Rows (M, D) to rows (M, D). It gets two rows at least, since it has BatchNorm
            and other processes may wait in it; they weigh nothing where they do not count.
        temperature: Of the softmax.

    Returns:
        Mean over the slots of this process; the negatives are the counted keys of all processes.
        0 where none counts.
    """
    both = (counted & key_counted).flatten()
    rows = both.nonzero()[:, 0]  # (M,)
    if len(rows) < 2:
        rows = torch.cat((rows, (~both).nonzero()[: 2 - len(rows), 0]))
    query = F.normalize(predictor(slots.flatten(0, 1)[rows]), dim=1)
    every = all_gather(F.normalize(keys.flatten(0, 1), dim=1))
    usable = all_gather(key_counted.flatten())
    usable |= ~usable.any()  # something to be compared with, if only at weight 0
    own = dist.get_rank() * len(both) + rows
    columns = (usable.cumsum(0) - 1)[own].clamp_min(0)
    with torch.autocast(query.device.type, enabled=False):
        dtype = keys.dtype
        logits = query.to(dtype) @ every[usable].T / temperature  # (M, counted keys)
        losses = F.cross_entropy(logits, columns, reduction='none')
        weights = both[rows].to(dtype)
        return (losses * weights).sum() / weights.sum().clamp_min(1) * (2 * temperature)

"""Which student vector of a de-coupled view is compared with which teacher vector of its key view.

"Mind Your Augmentation" (ICLR 2024), Sec. 6.2, Table 5 compares three ways: ``'point'`` (theirs):
the same position; ``'average'`` (as InsLoc): the means over the foreground; ``'all'`` (as CP2):
every foreground position with every one of the same image. ``'emd'``, of Self-EMD alone: as the
cheapest transport pairs them.
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

__all__ = ['OBJECTIVES', 'Objective', 'mean_of_samples', 'unit_mean_of_samples']

Objective = Literal['point', 'average', 'all', 'emd']
OBJECTIVES: tuple[Objective, ...] = ('point', 'average', 'all', 'emd')


def mean_of_samples(rows: Tensor, sample: Tensor, count: int) -> Tensor:
    """Mean of the rows that belong to each sample.

    Args:
        rows: (M, D).
        sample: (M,) int64, the sample of each row, 0 to ``count - 1``.
        count: Number of samples.

    Returns:
        (count, D); zeros for a sample without rows.
    """
    total = rows.new_zeros(count, rows.shape[1]).index_add(0, sample, rows)
    number = sample.bincount(minlength=count).clamp(min=1)
    return total / number[:, None]


def unit_mean_of_samples(rows: Tensor, sample: Tensor, count: int) -> Tensor:
    """Mean of the unit vectors of each sample, brought back to unit length: (count, D)."""
    return F.normalize(mean_of_samples(rows, sample, count), dim=1)

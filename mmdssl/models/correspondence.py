"""Which cell of the key view is the positive of a cell of the query view.

DenseCL (CVPR 2021), Sec. 3.3: the cell whose backbone feature is most similar. "Mind
Your Augmentation" (ICLR 2024), App. C.2, makes the alignment worse on purpose to show
that coupling grows with it: the n-th most similar cell (S-T/@n, where S-T/@1 is DenseCL
itself), or any cell (S-T/Rand).
"""

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

__all__ = ['Rule', 'check_rule', 'match_cells']

#: n for the n-th most similar cell, ``'random'`` for any.
Rule = int | Literal['random']


def check_rule(rule: Rule) -> None:
    """Refuse what is no rule of correspondence.

    Raises:
        ValueError: If it is neither a number from 1 nor ``'random'``.
    """
    if rule == 'random' or (isinstance(rule, int) and not isinstance(rule, bool) and rule >= 1):
        return
    raise ValueError(
        f"correspondence is {rule!r}, give n >= 1 for the n-th most similar cell or 'random'"
    )


@torch.no_grad()
def match_cells(
    query: Float[Tensor, 'n c s'],
    key: Float[Tensor, 'n c t'],
    *,
    rule: Rule = 1,
    generator: torch.Generator | None = None,
) -> Int64[Tensor, 'n s']:
    """Index of the key cell that belongs to each query cell.

    Similarity is the cosine, computed in float32 (float64 for float64 features).

    Args:
        query: (N, C, S) features of the cells of the query view.
        key: (N, C, T) features of the cells of the key view.
        rule: n for the n-th most similar cell, ``'random'`` for a uniform draw.
        generator: CPU generator of the random draw; None for torch's own.

    Returns:
        (N, S) int64, from 0 to T - 1.

    Raises:
        ValueError: If there are fewer than n key cells.
    """
    cells = key.shape[2]
    if rule == 'random':
        shape = (len(query), query.shape[2])
        return torch.randint(cells, shape, generator=generator).to(query.device)
    if rule > cells:
        raise ValueError(
            f'correspondence={rule}: the feature map has only {cells} cells; give a smaller number'
        )
    with torch.autocast(query.device.type, enabled=False):
        dtype = torch.float64 if query.dtype == torch.float64 else torch.float32
        query = F.normalize(query.to(dtype), dim=1)
        key = F.normalize(key.to(dtype), dim=1)
        similarity = query.transpose(1, 2) @ key  # (N, S, T)
    if rule == 1:
        return similarity.argmax(dim=2)
    return similarity.topk(rule, dim=2).indices[:, :, -1]

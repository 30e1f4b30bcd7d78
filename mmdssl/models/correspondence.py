"""Which cell of the key view is the positive of a cell of the query view.

DenseCL (CVPR 2021), Sec. 3.3: the cell whose backbone feature is most similar. "Mind
Your Augmentation" (ICLR 2024), App. C.2, makes the alignment worse on purpose to show
that coupling grows with it: the n-th most similar cell (S-T/@n, where S-T/@1 is DenseCL
itself), or any cell (S-T/Rand). The point-level baseline of "De-coupling and De-positioning
Dense Self-supervised Learning", Sec. 3, asks no feature: the positive is what lies at the same
place of the image (:func:`match_places`).
"""

from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from mmdssl.models.utils.cell_places import cell_centres, cell_distances, cells_at, shares_in

__all__ = ['MATCHES', 'Match', 'Places', 'Rule', 'check_rule', 'match_cells', 'match_places']

#: n for the n-th most similar cell, ``'random'`` for any.
Rule = int | Literal['random']
#: How a place becomes a positive, see :func:`match_places`.
Match = Literal['nearest', 'bilinear', 'pixpro']
MATCHES: tuple[Match, ...] = get_args(Match)
#: Cells closer than this share of a cell's diagonal are pairs (PixPro, CVPR 2021).
_CLOSE = 0.7


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


class Places(NamedTuple):
    """The positives of S query cells of N images, each one or one of T.

    Attributes:
        positives: (N, S, D) or (N, S, T, D) unit vectors of the key view.
        weights: (N, S) or (N, S, T), at least float32: of each loss, 0 where the pair does not
            count; the weights of a cell that counts add up to 1.
    """

    positives: Float[Tensor, 'n s ...']
    weights: Float[Tensor, 'n s ...']


@torch.no_grad()
def match_places(
    query_box: Float[Tensor, 'n 4'],
    key_box: Float[Tensor, 'n 4'],
    keys: Float[Tensor, 'n d t'],
    *,
    query_grid: tuple[int, int],
    key_grid: tuple[int, int],
    match: Match = 'nearest',
) -> Places:
    """What the key view shows where the cells of the query view lie.

    Args:
        query_box: (N, 4) signed boxes of the query views (:mod:`mmdssl.models.utils.cell_places`).
        key_box: (N, 4) those of the key views.
        keys: (N, D, T) vectors of the key cells, of any length.
        query_grid: (height, width) of the query's map, S cells.
        key_grid: That of the key's map, T cells.
        match: ``'nearest'``: the key cell that holds the centre of the query cell; ``'bilinear'``:
            the key map sampled there, border cells continued, then brought to unit length.
            Cells whose centre the key view does not show do not count. ``'pixpro'``: every key cell
            closer than 0.7 diagonals of a cell, each as much; needs boxes in shares of the image.
    """
    keys = keys if keys.dtype == torch.float64 else keys.float()
    if match == 'pixpro':
        near = cell_distances(query_box, key_box, query_grid, key_grid) < _CLOSE  # (N, S, T)
        weights = near.to(keys.dtype)
        every = F.normalize(keys, dim=1).transpose(1, 2)[:, None]  # (N, 1, T, D)
        return Places(
            every.expand(-1, near.shape[1], -1, -1),
            weights / weights.sum(dim=2, keepdim=True).clamp_min(1),
        )
    shares, valid = shares_in(cell_centres(query_box, *query_grid), key_box)  # (N, S, 2), (N, S)
    if match == 'nearest':
        index = cells_at(shares, *key_grid)[:, None].expand(-1, keys.shape[1], -1)
        found = keys.gather(2, index)  # (N, D, S)
    else:
        place = (2 * shares[:, None] - 1).to(keys.dtype)  # (N, 1, S, 2), -1 to 1
        found = F.grid_sample(
            keys.unflatten(2, key_grid), place, padding_mode='border', align_corners=False
        )[:, :, 0]
    return Places(F.normalize(found, dim=1).transpose(1, 2), valid.to(keys.dtype))

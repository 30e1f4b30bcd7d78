"""Earth mover's distance between the cells of two maps, by Sinkhorn's rounds in the log domain.

With unit vectors u_i and v_j, cost c_ij = 1 - cos(u_i, v_j) and weights

    r_i ~ max(u_i . mean of v, 0) + floor,      s_j ~ max(v_j . mean of u, 0) + floor,

each summing to 1 (those of DeepEMD, CVPR 2020, on unit vectors), the plan P minimises
<P, c> + eps * sum P (log P - 1) with row sums r and column sums s. From f = g = 0, each round takes

    f_i = eps (log r_i - log sum_j exp((g_j - c_ij) / eps)),      then g likewise;

P = exp((f + g - c) / eps), so that columns are exact and rows nearly. The distance is <P, c>; no
gradient goes through r, s and P.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mmdssl.models.utils.precision import unit

__all__ = ['cell_weights', 'earth_movers_distance', 'transport_plan']


@torch.no_grad()
def transport_plan(
    cost: Float[Tensor, 'n s t'],
    rows: Float[Tensor, 'n s'],
    columns: Float[Tensor, 'n t'],
    *,
    epsilon: float = 0.05,
    rounds: int = 10,
) -> Float[Tensor, 'n s t']:
    """The plan P; cells of weight 0 take no part.

    Args:
        cost: (N, S, T).
        rows: (N, S) weights, >= 0, one of each image above 0.
        columns: (N, T), likewise; of the same sum.
        epsilon: The smaller, the nearer to the exact plan, and the more rounds it needs.
        rounds: At least 1.
    """
    scaled = -cost / epsilon
    log_rows, log_columns = rows.log(), columns.log()
    g = torch.where(columns > 0, 0.0, -torch.inf)
    for _ in range(rounds):
        f = log_rows - (scaled + g[:, None]).logsumexp(dim=2)
        g = log_columns - (scaled + f[..., None]).logsumexp(dim=1)
    return (scaled + f[..., None] + g[:, None]).exp()


def cell_weights(
    cells: Float[Tensor, 'n s d'],
    other: Float[Tensor, 'n t d'],
    *,
    floor: float = 1e-3,
    keep: Bool[Tensor, 'n s'] | None = None,
    other_keep: Bool[Tensor, 'n t'] | None = None,
) -> Float[Tensor, 'n s']:
    """Weights of unit vectors by how much they resemble the mean of the other map.

    Args:
        cells: (N, S, D) unit vectors.
        other: (N, T, D) unit vectors.
        floor: Added to each, so that none is 0.
        keep: (N, S) cells that count; the others weigh 0. None: all.
        other_keep: (N, T) cells of the other map that its mean is taken of.
    """
    counts = other.new_ones(other.shape[:2]) if other_keep is None else other_keep.to(other.dtype)
    mean = (other * counts[..., None]).sum(dim=1) / counts.sum(dim=1, keepdim=True).clamp_min(1)
    weights = (cells @ mean[..., None])[..., 0].clamp_min(0) + floor  # (N, S)
    if keep is not None:
        weights = weights * keep
    return weights / weights.sum(dim=1, keepdim=True)


def earth_movers_distance(
    student: Float[Tensor, 'n d s'],
    teacher: Float[Tensor, 'n d t'],
    *,
    epsilon: float = 0.05,
    rounds: int = 10,
    floor: float = 1e-3,
    keep: Bool[Tensor, 'n s'] | None = None,
) -> Float[Tensor, ' n']:
    """Distance of the maps of every image, in float32 or more.

    Args:
        student: (N, D, S) vectors of cells, of any length.
        teacher: (N, D, T), without gradient.
        epsilon: Of the plan.
        rounds: Of the plan.
        floor: Of the weights.
        keep: (N, S) cells of both maps, then of one grid, that take part; None: all. An image
            without any has distance 0.
    """
    with torch.autocast(student.device.type, enabled=False):
        u, v = (unit(x.transpose(1, 2)) for x in (student, teacher))
        cost = 1 - u @ v.transpose(1, 2)
        with torch.no_grad():
            some = None if keep is None else keep | ~keep.any(dim=1, keepdim=True)
            plan = transport_plan(
                cost,
                cell_weights(u, v, floor=floor, keep=some, other_keep=some),
                cell_weights(v, u, floor=floor, keep=some, other_keep=some),
                epsilon=epsilon,
                rounds=rounds,
            )
        distance = (plan * cost).sum(dim=(1, 2))
        return distance if keep is None else distance * keep.any(dim=1)

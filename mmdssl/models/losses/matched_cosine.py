"""Cosine between vectors of matched regions of two views: the loss of SoCo (NeurIPS 2021).

With c_ij = 1 where region i of the one view and region j of the other show the same proposal:

    loss = -2 * mean over images of  sum_ij c_ij cos(p_i, t_j) / sum_ij c_ij

so each direction lies in [-2, 2]; SoCo adds both directions. The 2 is that of the squared
distance of unit vectors, |p - t|^2 = 2 - 2 cos, without its constant.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmdssl.models.utils.precision import unit

__all__ = ['correspondence', 'matched_cosine_loss', 'paired_cells_loss', 'region_cosine']

# Of the official loss: images without a pair add 0.
_EPSILON = 1e-6


def correspondence(ids: Int[Tensor, 'n k'], other_ids: Int[Tensor, 'n l']) -> Bool[Tensor, 'n k l']:
    """Which regions of two views show the same proposal.

    Args:
        ids: (N, K) int64, proposal of every region of the one view.
        other_ids: (N, L) int64, the same of the other view.

    Returns:
        (N, K, L) bool. Repeated proposals give several True in a row.
    """
    return ids[:, :, None] == other_ids[:, None, :]


def region_cosine(
    predictions: Float[Tensor, '*#n d'], targets: Float[Tensor, '*#n d']
) -> Float[Tensor, '...']:
    """Cosine of vectors at the same place: (..., D) and (..., D) to (...), at least float32."""
    return (unit(predictions) * unit(targets)).sum(dim=-1)


def matched_cosine_loss(
    predictions: Float[Tensor, 'n k d'],
    targets: Float[Tensor, 'n l d'],
    matches: Bool[Tensor, 'n k l'] | Float[Tensor, 'n k l'],
) -> Float[Tensor, '']:
    """One direction of SoCo's loss, see the module docstring.

    Args:
        predictions: (N, K, D) of the student; any length.
        targets: (N, L, D) of the teacher; any length, no gradient is cut here.
        matches: (N, K, L), True or 1 where the regions match.

    Returns:
        Scalar in [-2, 2], at least float32.
    """
    return _mean_of_matches(region_cosine(predictions[:, :, None], targets[:, None]), matches)


def paired_cells_loss(
    predictions: Float[Tensor, 'n d *s'],
    targets: Float[Tensor, 'n d *t'],
    pairs: Bool[Tensor, 'n s2 t2'],
) -> Float[Tensor, '']:
    """The same for maps of cells, of which there are many: PixPro's pixel consistency (CVPR 2021).

    Args:
        predictions: (N, D, h, w) of the student; any length.
        targets: (N, D, h', w') of the teacher; any length, no gradient is cut here.
        pairs: (N, h * w, h' * w'), True where two cells show the same place.

    Returns:
        Scalar in [-2, 2], at least float32; an image without pairs adds 0 and counts.
    """
    with torch.autocast(predictions.device.type, enabled=False):
        one, two = (unit(x.flatten(2).transpose(1, 2)) for x in (predictions, targets))
        return _mean_of_matches(one @ two.transpose(1, 2), pairs)


def _mean_of_matches(
    cosine: Float[Tensor, 'n k l'], matches: Bool[Tensor, 'n k l'] | Float[Tensor, 'n k l']
) -> Float[Tensor, '']:
    weights = matches.to(cosine.dtype)
    pairs = weights.sum(dim=(1, 2))  # (N,)
    return -2 * ((cosine * weights).sum(dim=(1, 2)) / (pairs + _EPSILON)).mean()

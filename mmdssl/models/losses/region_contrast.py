"""Contrast of points of regions: PLRC's use of SupCon (CVPR 2022).

P points of one region of an image, of the student's and of the teacher's view, are each other's
positives; those of other images are the negatives. Every vector is an anchor in turn:

    L = t / t_0 * mean over anchors a of mean over its positives p of
        -log( exp(a.p / t) / sum over all others x of exp(a.x / t) ),

all unit vectors, t = 0.2, t_0 = 0.07. The teacher's have no gradient but are anchors too.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

__all__ = ['foreign_info_nce', 'nearest_query_keys', 'points_of_maps', 'region_contrast']


def points_of_maps(
    maps: Float[Tensor, 'n d h w'],
    points: Int64[Tensor, 'n p 2'],
    size: int,
    *,
    transposed: bool = False,
    corners: bool = False,
) -> Float[Tensor, 'n p d']:
    """Maps at points, bilinearly.

    Args:
        maps: (N, D, h, w).
        points: (N, P, 2) row and column on a map of ``size`` x ``size`` cells.
        size: Cells per side that points count in.
        transposed: Take rows for columns, as PLRC's release does.
        corners: Scale points by size - 1 where pixel edges are read, with zeros beyond the border,
            as PLRC's release does: points near the border fade.

    Returns:
        (N, P, D).
    """
    places = points.to(maps.dtype)
    places = 2 * places / (size - 1) - 1 if corners else (2 * places + 1) / size - 1
    if not transposed:
        places = places.flip(-1)  # x, y
    padding = 'zeros' if corners else 'border'
    found = F.grid_sample(maps, places[:, None], padding_mode=padding, align_corners=False)
    return found[:, :, 0].transpose(1, 2)  # (N, D, 1, P) -> (N, P, D)


def nearest_query_keys(
    query: Float[Tensor, 'n p d'], key: Float[Tensor, 'n p d']
) -> Float[Tensor, 'n p d']:
    """PLRC's release: in place of key point j the one that has the index of the query most like it.

    Args:
        query: (N, P, D) unit vectors.
        key: (N, P, D) unit vectors.
    """
    index = (query @ key.transpose(1, 2)).argmax(dim=1)  # (N, P) over the queries
    return key.gather(1, index[..., None].expand_as(key))


def region_contrast(
    query: Float[Tensor, 'n p d'],
    key: Float[Tensor, 'n p d'],
    *,
    temperature: float = 0.2,
    base_temperature: float = 0.07,
    negatives: Float[Tensor, 'n m d'] | None = None,
) -> Float[Tensor, '']:
    """The loss above over the images of this process.

    Args:
        query: (N, P, D) unit vectors of the student.
        key: (N, P, D) unit vectors of the teacher.
        temperature: t.
        base_temperature: t_0.
        negatives: (N, M, D) unit vectors that are negatives of their own image's anchors as well.
    """
    anchors = torch.cat((query, key), dim=1)  # (N, 2P, D)
    size, each = anchors.shape[:2]
    rows = anchors.flatten(0, 1)
    logits = rows @ rows.T / temperature
    logits.fill_diagonal_(-torch.inf)
    below = logits.logsumexp(dim=1).view(size, each)
    if negatives is not None:
        more = (anchors @ negatives.transpose(1, 2) / temperature).logsumexp(dim=2)
        below = torch.logaddexp(below, more)
    # mean over the positives of a.p: all of the image but the anchor itself
    within = anchors @ anchors.transpose(1, 2) / temperature  # (N, 2P, 2P)
    own = within.diagonal(dim1=1, dim2=2)
    towards = (within.sum(dim=2) - own) / (each - 1)
    return (below - towards).mean() * (temperature / base_temperature)


def foreign_info_nce(
    query: Float[Tensor, 'm d'],
    positive: Float[Tensor, 'm d'],
    negatives: Float[Tensor, 'b p d'],
    image: Int64[Tensor, ' m'],
    temperature: float,
) -> Float[Tensor, ' m']:
    """InfoNCE of every query against the points of other images.

    Args:
        query: (M, D) unit vectors.
        positive: (M, D) unit vectors.
        negatives: (B, P, D) unit vectors of B images.
        image: (M,) which of them is the query's own, whose points do not count.
        temperature: Of the softmax.
    """
    logits = torch.einsum('md,bpd->mbp', query, negatives) / temperature
    own = F.one_hot(image, len(negatives)).bool()
    rest = logits.masked_fill(own[..., None], -torch.inf).flatten(1).logsumexp(dim=1)
    return F.softplus(rest - (query * positive).sum(dim=1) / temperature)

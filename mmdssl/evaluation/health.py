"""Numbers that show a collapsed representation long before a downstream task would.

Spread is SimSiam's measure (arXiv 2011.10566, Sec. 4.1); effective rank is the exponential of the
entropy of the singular values (Roy & Vetterli, EUSIPCO 2007).
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

__all__ = ['effective_rank', 'feature_spread']


def feature_spread(features: Float[Tensor, 'm c']) -> float:
    """How far unit features scatter: 0 if all are equal, 1 if they point everywhere evenly.

    Args:
        features: (M, C), any length; normalised here.

    Returns:
        Root of the mean squared distance of the unit features from their mean, in [0, 1].
    """
    unit = F.normalize(features.float(), dim=1)
    return float((unit - unit.mean(dim=0)).square().sum(dim=1).mean().sqrt())


def effective_rank(features: Float[Tensor, 'm c']) -> float:
    """Number of directions that centred features use: 1 to min(M - 1, C).

    Args:
        features: (M, C), M >= 2.

    Returns:
        exp(H(p)), p the singular values over their sum; 0 where all features are equal, NaN
        where one is not finite.
    """
    features = features.float()
    if not features.isfinite().all():
        return math.nan
    centred = features - features.mean(dim=0)
    values = torch.linalg.svdvals(centred)
    total = values.sum()
    # What rounding leaves of equal features is no direction.
    if total <= 1e-5 * features.norm():
        return 0.0
    share = values / total
    return math.exp(float(torch.special.entr(share).sum()))

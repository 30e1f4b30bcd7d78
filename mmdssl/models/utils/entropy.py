"""How evenly a teacher spreads its probabilities: the first sign of a collapse."""

import math

import torch
from torch import Tensor

__all__ = ['normalised_entropy']


def normalised_entropy(probabilities: Tensor) -> Tensor:
    """Entropy over the last axis, divided by that of the uniform distribution.

    Args:
        probabilities: (..., K), K >= 2, rows sum to 1.

    Returns:
        (...) in [0, 1].
    """
    entropy = torch.special.entr(probabilities.float()).sum(dim=-1)
    return entropy / math.log(probabilities.shape[-1])

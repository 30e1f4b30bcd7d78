"""Equally filled clusters: Sinkhorn-Knopp on scores, over all processes.

SwAV (NeurIPS 2020) and Leopart (CVPR 2022) turn scores of B vectors with K prototypes into soft
assignments Q that sum to 1 per vector and to B / K per prototype: rows and columns of
exp(scores / epsilon) are scaled in turn. mmpretrain has a ``distributed_sinkhorn``, too; it adds
up the prototypes over processes only where one is empty, so this one is our own.
"""

import torch
from torch import Tensor

from mmdssl.models.utils.collectives import all_reduce

__all__ = ['sinkhorn']


@torch.no_grad()
def sinkhorn(scores: Tensor, *, epsilon: float = 0.05, iterations: int = 3) -> Tensor:
    """Soft assignments of vectors to prototypes that fill all prototypes alike.

    Computed in float32 (or float64 if the scores are), whatever autocast says. With several
    processes the vectors of all count; each may bring another number of them.

    Args:
        scores: (B, K) scores of this process, e.g. cosines.
        epsilon: Temperature, > 0; the smaller, the harder the assignments.
        iterations: Rounds of scaling, at least 1.

    Returns:
        (B, K), rows sum to 1.
    """
    with torch.autocast(scores.device.type, enabled=False):
        scaled = (scores if scores.dtype == torch.float64 else scores.float()) / epsilon
        highest = scaled.max()
        all_reduce(highest, op='max')
        shares = (scaled - highest).exp()  # a common factor cancels, an overflow would not
        count = shares.new_tensor(float(len(shares)))
        all_reduce(count)
        for _ in range(iterations):
            filled = shares.sum(dim=0)  # (K,)
            all_reduce(filled)
            # Prototypes that nothing is near to stay empty instead of becoming NaN.
            shares = shares / (filled.clamp_min(torch.finfo(shares.dtype).tiny) * shares.shape[1])
            shares = shares / (shares.sum(dim=1, keepdim=True) * count)
        return shares * count

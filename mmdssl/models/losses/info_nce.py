"""InfoNCE with the negatives of a queue.

For a query q, its positive p and negatives n_1 .. n_K, all unit vectors (MoCo,
CVPR 2020):

    L = -log( exp(q.p / t) / (exp(q.p / t) + sum_k exp(q.n_k / t)) )
      = softplus( logsumexp_k(q.n_k / t) - q.p / t ).

A dense loss has thousands of queries and a queue 65536 negatives: the logits of one
step are hundreds of megabytes. Negatives are constants here, so the gradient of the
logsumexp with respect to q is the softmax-weighted mean of the negatives; it is taken
in the forward pass, block by block, and no (M, K) matrix outlives its block. The work
is the same two matrix products as with stored logits.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable

#: Logits held at a time: on a CPU 32 MB were the fastest, a GPU wants more to do at once.
_BLOCK = {'cpu': 2**23, 'cuda': 2**26}


class _LogSumExpOfNegatives(torch.autograd.Function):
    """logsumexp over k of query . n_k, k not in own, differentiable in the query only."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Float[Tensor, 'm d'],
        negatives: Float[Tensor, 'd k'],
        own: Int64[Tensor, 'm own'] | None,
    ) -> Float[Tensor, ' m']:
        rows = max(_BLOCK.get(query.device.type, 2**24) // negatives.shape[1], 1)
        needs_mean = ctx.needs_input_grad[0]
        sums, means = [], []
        columns = [None] * len(query) if own is None else own.split(rows)
        for block, column in zip(query.split(rows), columns, strict=False):
            logits = block @ negatives  # (rows, K)
            if column is not None:
                logits.scatter_(1, column, -torch.inf)
            top = logits.amax(dim=1, keepdim=True)
            weights = logits.sub_(top).exp_()
            total = weights.sum(dim=1, keepdim=True)
            sums.append((total.log() + top)[:, 0])
            if needs_mean:
                means.append((weights @ negatives.T).div_(total))  # (rows, D)
        if needs_mean:
            ctx.save_for_backward(torch.cat(means))
        return torch.cat(sums)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[Tensor, ' m']) -> tuple[Float[Tensor, 'm d'], None, None]:
        (means,) = ctx.saved_tensors
        return grad[:, None] * means, None, None


def info_nce(
    query: Float[Tensor, 'm d'],
    positive: Float[Tensor, '...'],  # its shape and the next one's are judged below, in words
    negatives: Float[Tensor, '_ k'],
    temperature: float,
    *,
    own: Int64[Tensor, ' m'] | Int64[Tensor, 'm own'] | None = None,
) -> Float[Tensor, 'm ...']:
    """InfoNCE loss of every query.

    Computed in float32 (float64 for float64 queries), also under autocast.

    Args:
        query: (M, D) unit vectors.
        positive: (M, D) unit vectors, the positive of each query; or (M, P, D), several
            that each query is compared with one by one.
        negatives: (D, K) unit vectors, shared by all queries (the layout of
            :class:`KeyQueue`); constants, no gradient flows into them.
        temperature: t > 0.
        own: (M,) or (M, J) int64, for each query the column or columns of ``negatives`` that are
            none of its own negatives; None: all are. K must then be more than J.

    Returns:
        (M,) losses, >= 0; (M, P) where each query has P positives.

    Raises:
        ValueError: If the shapes do not fit, the temperature is not positive or
            the negatives ask for a gradient.
    """
    wanted = (len(query), *positive.shape[1:-1], query.shape[1])
    if positive.ndim not in (2, 3) or positive.shape != wanted or len(negatives) != wanted[-1]:
        raise ValueError(
            f'info_nce: queries {tuple(query.shape)}, positives {tuple(positive.shape)} and '
            f'negatives {tuple(negatives.shape)} do not fit; give (M, D), then (M, D) or '
            '(M, P, D), then (D, K)'
        )
    if not temperature > 0:
        raise ValueError(f'info_nce: temperature is {temperature}, give a positive number')
    if negatives.requires_grad:
        raise ValueError('info_nce: negatives are constants; pass negatives.detach()')
    if own is not None:
        own = own.view(len(query), -1)
        if negatives.shape[1] <= own.shape[1]:
            raise ValueError(
                f'info_nce: no negative is left beside the own {own.shape[1]}; give more'
            )
    with torch.autocast(query.device.type, enabled=False):
        dtype = torch.float64 if query.dtype == torch.float64 else torch.float32
        # Scaling the M queries instead of the M x K logits saves a pass over these.
        query = query.to(dtype) / temperature
        each = query if positive.ndim == 2 else query[:, None]
        towards = (each * positive.to(dtype)).sum(dim=-1)  # (M,) or (M, P)
        if not len(query):
            return towards
        rest: Tensor = _LogSumExpOfNegatives.apply(query, negatives.to(dtype), own)
        return F.softplus((rest if positive.ndim == 2 else rest[:, None]) - towards)

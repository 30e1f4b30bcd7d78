"""The loss of MaskAlign (CVPR 2023): smooth L1 between aligned student and whitened teacher tokens.

"Mind Your Augmentation" (ICLR 2024), Eq. 13, prints 0.5 ||x||_2 for small differences; here, as in
the official code, 0.5 x^2 per element, taken twice.
"""

import re

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

__all__ = ['alignment_loss', 'layer_weights', 'whiten']


def layer_weights(layers: str, depth: int) -> tuple[float, ...]:
    """Weight of each teacher layer in the loss; their sum is 1.

    Args:
        layers: ``'top5'`` (the default of MaskAlign; any number): the mean of the last 5;
            ``'mean'``: of all; ``'out'``: the last alone; ``'linear_decay'``: growing with the
            layer, 0 for the first.
        depth: Number of layers.

    Raises:
        ValueError: For another name, or more layers than there are.
    """
    if layers == 'linear_decay' and depth > 1:
        total = sum(range(depth))
        return tuple(i / total for i in range(depth))
    found = re.fullmatch(r'top([1-9]\d*)', layers)
    named = {'mean': depth, 'out': 1}
    count = int(found[1]) if found else named.get(layers, 0)
    if not 0 < count <= depth:
        raise ValueError(
            f"MaskAlign: layers is {layers!r}, choose 'mean', 'out', 'linear_decay' or 'topN' with "
            f'N from 1 to {depth}, the depth of the teacher'
        )
    return (0.0,) * (depth - count) + (1 / count,) * count


def whiten(tokens: Float[Tensor, '*n c']) -> Float[Tensor, '*n c']:
    """Tokens (..., C) with mean 0 and variance 1 over their channels, float32 or float64."""
    tokens = tokens if tokens.dtype == torch.float64 else tokens.float()
    return F.layer_norm(tokens, tokens.shape[-1:])


def alignment_loss(
    aligned: Float[Tensor, '*n c'], target: Float[Tensor, '*n c']
) -> Float[Tensor, '*n']:
    """Twice the smooth L1 (beta 1) of each token, mean over channels.

    Args:
        aligned: (..., C) of the student.
        target: (..., C), whitened.

    Returns:
        (...) in the precision of ``target``.
    """
    return 2 * F.smooth_l1_loss(aligned.to(target.dtype), target, reduction='none').mean(dim=-1)

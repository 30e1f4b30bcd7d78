"""Unit vectors where a network computes in half precision."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

__all__ = ['unit', 'wide']


def wide(x: Float[Tensor, '*n']) -> Float[Tensor, '*n']:
    """Half precision -> float32; single and double stay as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def unit(x: Float[Tensor, '*n'], *, dim: int = -1) -> Float[Tensor, '*n']:
    """Vectors of length 1, float32 or more.

    Norms are clamped at 1e-12, as in the official codes; half precision cannot hold that.
    """
    return F.normalize(wide(x), dim=dim)

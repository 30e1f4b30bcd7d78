"""Attentive masking of MaskAlign (CVPR 2023): patches the teacher attends to are rather kept."""

import torch
from torch import Tensor

__all__ = ['attentive_order', 'keep_count']


def attentive_order(importance: Tensor, noise: Tensor | None = None) -> Tensor:
    """Patches in the order of a draw without replacement, proportional to their importance.

    Args:
        importance: (N, L) >= 0, on any scale.
        noise: (N, L) exponential noise; default: drawn from torch's generator of the device.
            Dividing by it and sorting is the same draw as ``torch.multinomial``'s, but may meet
            an importance of 0.

    Returns:
        (N, L) int64, a permutation a row.
    """
    if noise is None:
        noise = torch.empty_like(importance).exponential_()
    return (importance / noise).argsort(dim=1, descending=True)


def keep_count(patches: int, mask_ratio: float) -> int:
    """Patches that stay: 58 of 196 at 0.7, 4 of 16.

    Raises:
        ValueError: If that is none.
    """
    count = int(patches * (1 - mask_ratio))
    if not 0 < count <= patches:
        raise ValueError(
            f'MaskAlign: mask_ratio={mask_ratio} keeps {count} of {patches} patches; give a ratio '
            'from 0 to below 1 that leaves some'
        )
    return count

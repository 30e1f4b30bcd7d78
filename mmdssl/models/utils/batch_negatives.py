"""Keys of the step itself as negatives, in place of those of a queue (``negatives='batch'``).

A net that moves fast tells keys of earlier steps by their age, and learns nothing (docs/LOG.md).
"""

from typing import Literal

import torch
from mmengine import dist
from torch import Tensor

from mmdssl.models.utils.collectives import all_gather

__all__ = ['Negatives', 'check_negatives', 'check_other_images', 'keys_of_step']

Negatives = Literal['queue', 'batch']


def check_negatives(owner: str, negatives: str) -> None:
    """Refuse what is neither, with a ValueError."""
    if negatives not in ('queue', 'batch'):
        raise ValueError(f"{owner}: negatives is {negatives!r}, give 'queue' or 'batch'")


def check_other_images(owner: str, images: int) -> None:
    """Refuse a step, on all processes together, of one image, with a ValueError."""
    if images < 2:
        raise ValueError(
            f"{owner}: negatives='batch' with one image a step leaves none; use a batch of "
            "at least 2, or negatives='queue'"
        )


def keys_of_step(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Keys of all processes, and which of them belong to each image of this one.

    Args:
        keys: (N, J, D) of this process's images, J of each; the same shape on every process.

    Returns:
        (D, W * N * J), process by process, image by image, without gradient, and (N, J) int64
        columns: for ``info_nce`` what is none of an image's own negatives.
    """
    count, each = keys.shape[:2]
    start = dist.get_rank() * count * each
    own = start + torch.arange(count * each, device=keys.device).view(count, each)
    return all_gather(keys.flatten(0, 1)).T, own

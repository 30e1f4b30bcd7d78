"""Collectives that see contiguous memory only, whatever the layout of the tensors.

NCCL copies memory as it lies. A tensor in another memory format (channels-last images) or a view
with gaps arrives scrambled, without an error, in torch before 2.9 and 2.10 (pytorch #163483, mended
by #166181). Every tensor of the package that other processes see passes here.
"""

from typing import Literal

import torch
from mmengine import dist
from mmpretrain.models.utils.batch_shuffle import batch_shuffle_ddp, batch_unshuffle_ddp
from torch import Tensor

__all__ = ['all_gather', 'all_reduce', 'broadcast', 'shuffle_batch', 'unshuffle_batch']


def all_gather(tensor: Tensor) -> Tensor:
    """Rows of all processes in the order of the ranks, without gradient.

    Args:
        tensor: (n, ...) in any layout; of one shape and dtype on every process.

    Returns:
        (n * processes, ...) contiguous.
    """
    return torch.cat(dist.all_gather(tensor.detach().contiguous()))


def all_reduce(tensor: Tensor, op: Literal['sum', 'mean', 'max', 'min'] = 'sum') -> None:
    """Reduce a tensor over all processes, in place.

    Args:
        tensor: In any layout; of one shape and dtype on every process.
        op: How the values of the processes become one.
    """
    sent = tensor.contiguous()
    dist.all_reduce(sent, op=op)
    if sent is not tensor:
        tensor.copy_(sent)


def broadcast(tensor: Tensor) -> None:
    """Give every process the values of the first one, in place.

    Args:
        tensor: In any layout; of one shape and dtype on every process.
    """
    sent = tensor.contiguous()
    dist.broadcast(sent)
    if sent is not tensor:
        tensor.copy_(sent)


def shuffle_batch(images: Tensor) -> tuple[Tensor, Tensor]:
    """Images of all processes dealt out anew, for a BatchNorm whose statistics tell nothing.

    Args:
        images: (n, C, H, W) of this process; the same n everywhere.

    Returns:
        (n, C, H, W) in the memory format of ``images``, and the order for
        :func:`unshuffle_batch`.
    """
    shuffled, order = batch_shuffle_ddp(images.contiguous())
    if images.ndim == 4 and not images.is_contiguous():
        shuffled = shuffled.contiguous(memory_format=torch.channels_last)
    return shuffled, order


def unshuffle_batch(rows: Tensor, order: Tensor) -> Tensor:
    """What was computed of shuffled images, back in the order of this process.

    Args:
        rows: (n, ...) in any layout.
        order: Of :func:`shuffle_batch`.

    Returns:
        (n, ...) contiguous.
    """
    return batch_unshuffle_ddp(rows.contiguous(), order)

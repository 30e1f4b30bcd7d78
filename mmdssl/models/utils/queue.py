"""A queue of keys from earlier batches, the negatives of a contrastive loss.

Momentum Contrast (CVPR 2020): the teacher's vectors of the last steps, first in
first out, in a ring of fixed length. What is added here: the length fits itself to
the data, because a queue that outlives an epoch holds the very images it serves as
negatives for.
"""

import logging
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor, nn

from mmdssl.models.utils.collectives import all_gather


class KeyQueue(nn.Module):
    """Ring of unit vectors, filled by all processes alike.

    Attributes:
        keys: (dim, length) float, the negatives; random unit vectors at first.
        pointer: (1,) int64, the column that the next keys replace first.

    Args:
        dim: Length of a vector.
        length: Number of vectors, a multiple of what one step enqueues over all
            processes (:meth:`fit` sees to it).
        name: What messages call it.

    A checkpoint restores its own length, so a resumed run or an evaluation need not
    know how long the queue was.
    """

    def __init__(self, *, dim: int, length: int, name: str = 'queue') -> None:
        super().__init__()
        if dim < 1 or length < 1:
            raise ValueError(f'{name}: dim={dim}, length={length}; both must be at least 1')
        self.name = name
        self.register_buffer('keys', F.normalize(torch.randn(dim, length), dim=0))
        self.register_buffer('pointer', torch.zeros(1, dtype=torch.long))
        self.keys: Tensor
        self.pointer: Tensor
        self._fitting: tuple[int, int] | None = None  # keys a step and length found to fit

    @property
    def length(self) -> int:
        """Number of vectors held."""
        return self.keys.shape[1]

    def extra_repr(self) -> str:
        """Dimension and length, for ``print(model)``."""
        return f'dim={self.keys.shape[0]}, length={self.length}'

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Replace the oldest vectors by new ones, gathered in the order of the ranks.

        Args:
            keys: (n, dim) unit vectors of this process; the same n everywhere.

        Raises:
            ValueError: If the length is no multiple of what all processes bring.
        """
        gathered = all_gather(keys.to(self.keys.dtype))
        count = len(gathered)
        self._check_fit(count)
        columns = self.pointer + torch.arange(count, device=self.pointer.device)  # (n,)
        self.keys.index_copy_(1, columns, gathered.T)
        self.pointer.add_(count).remainder_(self.length)

    def _check_fit(self, count: int) -> None:
        """Refuse ``count`` keys that would not end at the end; asks the device once per count."""
        if self._fitting == (count, self.length):
            return
        start = int(self.pointer)
        if self.length % count or start % count:
            raise ValueError(
                f'{self.name}: {count} keys a step do not fit a queue of {self.length} at column '
                f'{start}; use batches of one size (drop_last=True in the loader) and a queue '
                'length that is a multiple of the keys of a step; a resumed run needs the batch '
                'size it was started with'
            )
        self._fitting = (count, self.length)

    def fit(self, *, per_step: int, available: int) -> None:
        """Shorten the queue to what data and batch allow, and say what to expect.

        The length becomes the largest multiple of ``per_step`` that is not above
        the current length nor ``available``.

        Args:
            per_step: Keys that one step enqueues, over all processes.
            available: Different keys that one pass over the data gives.

        Raises:
            ValueError: If not even one step's keys fit.
        """
        limit = min(self.length, available)
        length = limit - limit % per_step
        if length == 0:
            what = (
                f'a queue of {self.length}'
                if self.length < per_step
                else f'the {available} keys of the data'
            )
            raise ValueError(
                f'{self.name}: one step brings {per_step} keys, more than {what}; use a smaller '
                'batch, a longer queue or more images'
            )
        steps = length // per_step
        if length < self.length:
            change = (
                f'shortened from {self.length} to {length}, the largest multiple of the '
                f'{per_step} keys of a step that the data ({available} keys in an epoch) allow'
            )
        else:
            change = f'length {length}'
        print_log(
            f'{self.name}: {change}, filled after {steps} steps; the loss rises until then',
            logger='current',
            level=logging.INFO if length == self.length else logging.WARNING,
        )
        self._resize(length)

    def _resize(self, length: int) -> None:
        """Change the length in place: wrappers may already hold the buffer."""
        if length < self.length:
            self.keys.data = self.keys[:, :length].contiguous()
        elif length > self.length:
            self.keys.data = self.keys.new_zeros(len(self.keys), length)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        self._fitting = None  # the pointer may be another
        stored = state_dict.get(f'{prefix}keys')
        if stored is not None and stored.ndim == 2 and len(stored) == len(self.keys):
            self._resize(stored.shape[1])
        super()._load_from_state_dict(state_dict, prefix, *args)

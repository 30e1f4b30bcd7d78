"""Teacher vectors of earlier batches, so that few images fill many prototypes (Leopart).

One queue per assigned view, newest vectors first, for each process its own. It takes part once
it is full.
"""

import torch
from torch import Tensor, nn

__all__ = ['ForegroundQueue']


class ForegroundQueue(nn.Module):
    """First in, first out, one row of vectors per view.

    Attributes:
        vectors: (views, length, dim) float32, newest first; zeros where nothing is yet.
        filled: (views,) int64, how many vectors are in.

    Args:
        views: Number of queues.
        length: Vectors that each holds, at least 1.
        dim: Length of a vector.

    A checkpoint restores its own length.
    """

    def __init__(self, *, views: int, length: int, dim: int) -> None:
        super().__init__()
        if views < 1 or length < 1 or dim < 1:
            raise ValueError(
                f'ForegroundQueue: views={views}, length={length}, dim={dim}; all are at least 1'
            )
        self.register_buffer('vectors', torch.zeros(views, length, dim))
        self.register_buffer('filled', torch.zeros(views, dtype=torch.long))
        self.vectors: Tensor
        self.filled: Tensor

    @property
    def length(self) -> int:
        """Vectors that each queue holds when full."""
        return self.vectors.shape[1]

    def extra_repr(self) -> str:
        """Sizes, for ``print(model)``."""
        return f'views={len(self.vectors)}, length={self.length}, dim={self.vectors.shape[2]}'

    def get(self, view: int) -> Tensor:
        """Vectors of a view: (length, dim) if its queue is full, else (0, dim)."""
        return self.vectors[view][: self.length if self.filled[view] >= self.length else 0]

    @torch.no_grad()
    def push(self, view: int, vectors: Tensor) -> None:
        """Put vectors in front and drop the oldest.

        Args:
            view: Which queue.
            vectors: (n, dim); of more than ``length`` the first count. None at all is fine.
        """
        new = vectors[: self.length].to(self.vectors.dtype)
        kept = self.vectors[view, : self.length - len(new)]
        self.vectors[view] = torch.cat((new, kept))
        self.filled[view] = (self.filled[view] + len(new)).clamp(max=self.length)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: object) -> None:
        stored = state_dict.get(f'{prefix}vectors')
        if stored is not None and stored.ndim == 3 and len(stored) == len(self.vectors):
            self.vectors.data = self.vectors.new_zeros(stored.shape)  # in place of what is there
        super()._load_from_state_dict(state_dict, prefix, *args)

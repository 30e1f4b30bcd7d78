"""The foreground of a de-coupled view: which part of the key view survived."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Foreground:
    """What of each key view is still visible in its de-coupled view.

    Attributes:
        keep: (n, h, w) bool, True = pixel or cell of the key view, False =
            background; at the resolution of the mask.
        threshold: Kept share from which a cell of a coarser grid counts as
            foreground, in (0, 1].
    """

    keep: Tensor
    threshold: float

    def share(self, height: int, width: int) -> Tensor:
        """Kept share of each cell of a grid: (n, height, width) float32 in [0, 1]."""
        keep = self.keep[:, None].float()  # (n, 1, h, w)
        return F.adaptive_avg_pool2d(keep, (height, width))[:, 0]

    def cells(self, height: int, width: int) -> Tensor:
        """Foreground cells of a grid: (n, height, width) bool, kept share >= threshold."""
        if self.keep.shape[1:] == (height, width):
            return self.keep
        return self.share(height, width) >= self.threshold

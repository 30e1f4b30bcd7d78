"""The foreground of a de-coupled view: which part of the key view survived."""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Bool, Float32
from torch import Tensor

from mmdssl.models.chosen_cells import ChosenCells, choose_cells


@dataclass(frozen=True)
class Foreground:
    """What of each key view is still visible in its de-coupled view.

    Attributes:
        keep: (n, h, w) bool, True = pixel or cell of the key view, False =
            background; at the resolution of the mask.
        threshold: Kept share from which a cell of a coarser grid counts as
            foreground, in (0, 1].
        on_host: ``keep`` in host memory where the original is still there: what is counted
            is counted in it, without waiting for the device.
    """

    keep: Bool[Tensor, 'n h w']
    threshold: float
    on_host: Bool[Tensor, 'n h w'] | None = None

    def share(self, height: int, width: int) -> Float32[Tensor, 'n {height} {width}']:
        """Kept share of each cell of a grid: (n, height, width) float32 in [0, 1]."""
        keep = self.keep[:, None].float()  # (n, 1, h, w)
        return F.adaptive_avg_pool2d(keep, (height, width))[:, 0]

    def cells(self, height: int, width: int) -> Bool[Tensor, 'n {height} {width}']:
        """Foreground cells of a grid: (n, height, width) bool, kept share >= threshold."""
        if self.keep.shape[1:] == (height, width):
            return self.keep
        return self.share(height, width) >= self.threshold

    def chosen(self, height: int, width: int) -> ChosenCells:
        """The foreground cells of a grid one by one, on the device of ``keep``.

        Args:
            height: Rows of the grid.
            width: Columns of the grid.
        """
        source = self if self.on_host is None else Foreground(self.on_host, self.threshold)
        mask = source.cells(height, width).flatten(1)  # (n, h, w) -> (n, h*w)
        return choose_cells(mask, device=self.keep.device)

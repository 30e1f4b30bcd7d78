"""The cells of a batch that a loss reads: which they are, and what each weighs."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from mmdssl.models.utils.host_copies import move

__all__ = ['ChosenCells', 'choose_cells']


@dataclass(frozen=True)
class ChosenCells:
    """M of the L cells of N samples, in row-major order.

    Attributes:
        sample: (M,) int64, 0 to N - 1.
        cell: (M,) int64, 0 to L - 1.
        weights: (M,) float64, see :func:`per_sample_weights`.
    """

    sample: Int[Tensor, ' m']
    cell: Int[Tensor, ' m']
    weights: Float64[Tensor, ' m']

    def rows(self, cells: Float[Tensor, 'n l ...']) -> Float[Tensor, 'm ...']:
        """The chosen rows (M, C) of (N, L, C)."""
        return cells[self.sample, self.cell]


def choose_cells(mask: Bool[Tensor, 'n l'], *, device: torch.device | None = None) -> ChosenCells:
    """Cells that are True.

    Computed where the mask lies: of a mask in host memory the number of cells is known without
    asking the device.

    Args:
        mask: (N, L) bool.
        device: Where the result is wanted; default: that of the mask.
    """
    sample, cell = mask.nonzero(as_tuple=True)
    weights = per_sample_weights(mask, torch.float64)
    where = mask.device if device is None else device
    # One copy for both.
    sample, cell = move(torch.stack((sample, cell)), where)
    return ChosenCells(sample=sample, cell=cell, weights=move(weights, where))


def per_sample_weights(
    selected: Bool[Tensor, 'n l'], dtype: torch.dtype = torch.float32
) -> Float[Tensor, ' m']:
    """Weights that turn a sum over selected positions into the official double mean.

    Mean over the selected positions of a sample, then over *all* samples; a
    sample without any position counts as 0, as in the official code.

    Args:
        selected: (N, L) bool.

    Returns:
        (M,) of ``dtype``, M = number of True cells, in row-major order.
    """
    count = selected.sum(dim=1, keepdim=True).clamp(min=1)
    weights = (count * len(selected)).to(dtype).reciprocal()
    return weights.expand_as(selected)[selected]

"""Channels of a frozen network brought to mean 0 and variance 1, as all data so far have them."""

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from mmdssl.models.utils.collectives import all_reduce

__all__ = ['RunningStandard']

# Channels that never vary stay 0 instead of becoming noise.
_EPSILON = 1e-5


class RunningStandard(nn.Module):
    """Mean and variance of every channel over all batches seen, of all processes.

    A network that is not trained has the same statistics in every step, so the average over all
    batches is what an average over the data would be, better with every step; a checkpoint keeps
    it.

    Args:
        channels: C.
    """

    mean: Tensor
    square: Tensor
    batches: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer('mean', torch.zeros(channels))
        self.register_buffer('square', torch.ones(channels))
        self.register_buffer('batches', torch.zeros(()))

    @torch.no_grad()
    def observe(self, maps: Float[Tensor, 'n c h w']) -> None:
        """Count a batch of maps (N, C, h, w)."""
        values = maps.float()
        moments = torch.stack([values.mean(dim=(0, 2, 3)), values.square().mean(dim=(0, 2, 3))])
        all_reduce(moments, op='mean')
        self.batches += 1
        self.mean += (moments[0] - self.mean) / self.batches
        self.square += (moments[1] - self.square) / self.batches

    def forward(self, maps: Float[Tensor, 'n c h w']) -> Float32[Tensor, 'n c h w']:
        """Maps (N, C, h, w) with the mean taken off and divided by the deviation."""
        variance = (self.square - self.mean.square()).clamp(min=0)
        scale = (variance + _EPSILON).rsqrt()
        return (maps.float() - self.mean[:, None, None]) * scale[:, None, None]

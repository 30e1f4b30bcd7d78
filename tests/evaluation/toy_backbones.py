"""Backbones whose coupling, position bias and local consistency are known beforehand."""

from itertools import pairwise

import torch
from torch import Tensor, nn

BLACK = torch.tensor([-123.675 / 58.395, -116.28 / 57.12, -103.53 / 57.375]).view(3, 1, 1)


class PatchNet(nn.Module):
    """Sees one patch at a time: nothing outside a patch can reach its feature.

    ReLU of a random projection of the patch: all cosines are positive, and black (pixels 0 under
    ImageNet's normalisation) gives 0, so that the empty part of a canvas says nothing even where
    the map is averaged. Inter-object coupling is 1 where A is equally masked in both views,
    intra-object coupling 0, LSC 1.
    """

    def __init__(self, *, patch_size: int = 16, channels: int = 32, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.patch_size = patch_size
        self.projection = nn.Conv2d(3, channels, patch_size, patch_size)
        with torch.no_grad():
            weight = torch.randn(self.projection.weight.shape, generator=generator)
            self.projection.weight.copy_(weight / patch_size)
            self.projection.bias.copy_(-(weight / patch_size * BLACK).sum(dim=(1, 2, 3)))

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """(N, 3, H, W) to one map (N, C, H / patch, W / patch)."""
        return (self.projection(images).relu(),)


class MixNet(PatchNet):
    """PatchNet plus ``alpha`` times the average of its map: everything leaks everywhere."""

    def __init__(self, alpha: float, **settings: int) -> None:
        super().__init__(**settings)
        self.alpha = alpha

    def forward(self, images: Tensor) -> tuple[Tensor]:
        (features,) = super().forward(images)
        return (features + self.alpha * features.mean(dim=(2, 3), keepdim=True),)


class ShiftNet(nn.Module):
    """3 x 3 convolutions behind non-overlapping patches; stages ``layer1`` ... (C2 ...).

    ``padding='valid'``: no padding, each convolution loses a cell a side; ``'circular'``: the
    image goes on periodically, the map keeps its size and every shift by a patch is exact.
    """

    padding = 'valid'

    def __init__(
        self,
        *,
        patch_size: int = 8,
        channels: int = 16,
        depth: int = 4,
        padding: str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.patch_size = patch_size
        self.stem = nn.Conv2d(3, channels, patch_size, patch_size)
        mode = padding or self.padding
        for number in range(depth):
            layer = nn.Conv2d(
                channels,
                channels,
                3,
                padding=0 if mode == 'valid' else 1,
                padding_mode='zeros' if mode == 'valid' else mode,
            )
            self.add_module(f'layer{number + 1}', nn.Sequential(layer, nn.ReLU()))
        with torch.no_grad():
            for parameter in self.parameters():
                fan_in = max(parameter[0].numel(), 1) if parameter.ndim > 1 else 100
                values = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(values * (2 / fan_in) ** 0.5)

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """(N, 3, H, W) to one map."""
        for module in self.children():
            images = module(images)
        return (images,)


class PaddedNet(ShiftNet):
    """The same weights with zero padding, which tells places apart, the more the deeper."""

    padding = 'zeros'


def rises(values: list[float]) -> bool:
    """Whether a list rises strictly."""
    return all(a < b for a, b in pairwise(values))

"""A frozen teacher of any kind: the feature map of a backbone that somebody else trained."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mmdssl.models.utils.frozen_net import FrozenNet
from mmdssl.registry import MODELS

__all__ = ['FrozenMaps', 'last_map']


@MODELS.register_module()
class FrozenMaps(FrozenNet):
    """Any backbone that gives feature maps, never trained; its last map is read.

    Args:
        scale: Side of its images over that of the student's, above 0. A teacher of stride 32 that
            sees twice the pixels gives a cell for each of stride 16.
        **weights: As those of :class:`FrozenNet`.

    Raises:
        ValueError: If ``scale`` is not above 0, and as :class:`FrozenNet` does.
    """

    def __init__(self, *, scale: float = 1.0, **weights: Any) -> None:
        super().__init__(**weights)
        if not scale > 0:
            raise ValueError(f'FrozenMaps: scale is {scale}, give a number above 0')
        self.scale = scale

    def view(self, images: Float[Tensor, 'n 3 _ _']) -> Float[Tensor, 'n 3 _ _']:
        """Images (N, 3, H, W) of the student as the teacher wants them."""
        if self.scale != 1.0:
            size = [round(side * self.scale) for side in images.shape[2:]]
            images = F.interpolate(
                images, size, mode='bicubic', align_corners=False, antialias=self.scale < 1
            )
        return self.normalised(images)

    @torch.no_grad()
    def forward(self, images: Float[Tensor, 'n 3 _ _']) -> Float[Tensor, 'n c h w']:
        """Last map (N, C, h, w) of images (N, 3, H, W), float, normalised as the student's."""
        return last_map(self.backbone, self.view(images))


def last_map(
    backbone: torch.nn.Module, images: Float[Tensor, 'n 3 _ _']
) -> Float[Tensor, 'n c h w']:
    """The last map (N, C, h, w) that a backbone gives.

    Raises:
        ValueError: If it gives no map.
    """
    maps = backbone(images)
    found = maps[-1] if isinstance(maps, (tuple, list)) else maps
    if not isinstance(found, Tensor) or found.ndim != 4:
        what = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(
            f'{type(backbone).__name__} gives {what}, but cells of maps (N, C, h, w) are compared: '
            "set out_type='featmap' for a vision transformer"
        )
    return found

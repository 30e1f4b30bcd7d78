"""Four equally large maps of a ViT become a pyramid of strides 4, 8, 16 and 32.

The four operations of the fine-tuning of BEiT, iBOT and "Mind Your Augmentation" (ICLR 2024);
the same as mmseg's ``Feature2Pyramid``, which a detector would have to install mmseg for.
"""

from collections.abc import Sequence

from mmengine.model import BaseModule
from mmpretrain.models.utils import build_norm_layer
from torch import Tensor, nn

from mmdssl.registry import MODELS


@MODELS.register_module()
class DeconvPyramid(BaseModule):
    """Up 4 times (deconv, norm, GELU, deconv), up 2 times (deconv), as it is, down 2 times (max).

    In mmdet and mmseg, stand it before the neck proper: ``neck=[dict(type='DeconvPyramid',
    in_channels=384), dict(type='FPN', ...)]``.

    Args:
        in_channels: Channels C of the four maps.
        norm_cfg: Norm between the two deconvolutions; default SyncBN.
    """

    def __init__(self, *, in_channels: int, norm_cfg: dict | None = None) -> None:
        super().__init__()

        def double() -> nn.Module:
            return nn.ConvTranspose2d(in_channels, in_channels, kernel_size=2, stride=2)

        norm = build_norm_layer(norm_cfg or dict(type='SyncBN'), in_channels)
        self.up4 = nn.Sequential(double(), norm, nn.GELU(), double())
        self.up2 = double()
        self.same = nn.Identity()
        self.down2 = nn.MaxPool2d(kernel_size=2, stride=2)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The pyramid.

        Args:
            maps: Four maps (N, C, h, w), from the shallowest tap to the deepest.

        Returns:
            (N, C, 4h, 4w), (N, C, 2h, 2w), (N, C, h, w), (N, C, h // 2, w // 2).

        Raises:
            ValueError: If there are not four maps.
        """
        steps = (self.up4, self.up2, self.same, self.down2)
        if len(maps) != len(steps):
            raise ValueError(
                f'DeconvPyramid: {len(maps)} maps given for {len(steps)} levels; set four '
                'out_indices in the backbone'
            )
        return tuple(step(one) for step, one in zip(steps, maps, strict=True))

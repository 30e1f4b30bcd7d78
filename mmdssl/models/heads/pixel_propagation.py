"""The pixel propagation module of PixPro (CVPR 2021): each cell gathers what resembles it.

With x_j the vectors of the cells of a map and g a transform of them,

    y_i = sum over j of max(cos(x_i, x_j), 0)^p * g(x_j) / |g(x_j)|,

over all cells, i among them; no softmax, no division. The paper does not say that g(x_j) is
brought to unit length; its code does.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdssl.models.necks.point_mlp import PointMLP
from mmdssl.models.utils.setting_checks import SettingChecks
from mmdssl.registry import MODELS

# Of the code, where the gradient of a power below 1 has no end at 0.
_EPSILON = 1e-6


@MODELS.register_module()
class PixelPropagation(BaseModule):
    """See the module docstring.

    Args:
        channels: Width C of the map.
        layers: Of g: 0 the identity, 1 a 1x1 convolution, 2 with BatchNorm, ReLU and another one
            behind it.
        power: p > 0.
        hidden_channels: Width between two layers; None: ``channels``.
        init_cfg: mmengine initialisation; None: torch's own.

    The layers are :attr:`value`. With two of them the official BatchNorm is not synchronised;
    ``sync_bn`` of a config makes no difference between BatchNorms.
    """

    def __init__(
        self,
        *,
        channels: int,
        layers: int = 1,
        power: float = 2.0,
        hidden_channels: int | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        check = SettingChecks('PixelPropagation')
        check.choice('layers', layers, (0, 1, 2))
        check.above('power', power, 0, float('inf'))
        self.power = power
        self.value: nn.Module = nn.Identity()
        if layers == 1:
            self.value = nn.Conv2d(channels, channels, 1)
        elif layers == 2:
            self.value = PointMLP(
                in_channels=channels,
                hidden_channels=hidden_channels or channels,
                out_channels=channels,
                num_layers=2,
                act='ReLU',
                init_cfg=[],
            )

    def forward(
        self, x: Float[Tensor, 'n c h w'], keep: Bool[Tensor, 'n h w'] | None = None
    ) -> Float[Tensor, 'n c h w']:
        """Propagate.

        Args:
            x: (N, C, h, w), of any length.
            keep: (N, h, w), True = a cell others may gather from; None: all are.

        Returns:
            (N, C, h, w) in float32 at least, of no particular length; zeros where a cell finds
            nothing.
        """
        value = self.value(x)
        with torch.autocast(x.device.type, enabled=False):
            dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
            values = F.normalize(value.to(dtype), dim=1).flatten(2)  # (N, C, S)
            cells = F.normalize(x.to(dtype), dim=1).flatten(2)
            similarity = (cells.transpose(1, 2) @ cells).clamp_min(0)  # (N, S, S)
            if self.power < 1:
                similarity = similarity + _EPSILON
            similarity = similarity**self.power
            if keep is not None:
                similarity = similarity * keep.flatten(1)[:, None].to(dtype)
            gathered: Tensor = values @ similarity.transpose(1, 2)
            return gathered.view(x.shape)

"""An MLP on every cell of a map, or on every row of a matrix: SlotCon, PLRC, Self-EMD."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from mmcv.cnn import build_activation_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdssl.models.utils.setting_checks import SettingChecks
from mmdssl.registry import MODELS


@MODELS.register_module()
class PointMLP(BaseModule):
    """Linear layers with BatchNorm and an activation between them, none after the last.

    BatchNorm counts every cell of a map (``conv=True``) or every row as a sample.

    Args:
        in_channels: Width of the input.
        hidden_channels: Width of the layers in between.
        out_channels: Width of the output.
        num_layers: Linear layers, at least 1.
        conv: Whether it maps maps (N, C, h, w), by 1x1 convolutions, or rows (M, C).
        act: Activation, e.g. ``'GELU'`` or ``'ReLU'``.
        with_norm: BatchNorm after all layers but the last.
        last_bias: Whether the last layer has a bias.
        init_cfg: mmengine initialisation; None: truncated normal of 0.02, biases 0, as SlotCon
            and PLRC have it.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 3,
        conv: bool = True,
        act: str = 'GELU',
        with_norm: bool = True,
        last_bias: bool = True,
        init_cfg: dict | list | None = None,
    ) -> None:
        if init_cfg is None:
            init_cfg = dict(type='TruncNormal', layer=['Linear', 'Conv2d'], std=0.02)
        super().__init__(init_cfg=init_cfg)
        SettingChecks('PointMLP').at_least('num_layers', num_layers, 1)
        widths = [in_channels, *[hidden_channels] * (num_layers - 1), out_channels]
        layers: list[nn.Module] = []
        for index in range(num_layers):
            width, last = widths[index + 1], index == num_layers - 1
            bias = last_bias if last else True
            layers.append(
                nn.Conv2d(widths[index], width, 1, bias=bias)
                if conv
                else nn.Linear(widths[index], width, bias=bias)
            )
            if last:
                break
            if with_norm:
                layers.append(nn.BatchNorm2d(width) if conv else nn.BatchNorm1d(width))
            layers.append(build_activation_layer(dict(type=act)))
        self.mlp = nn.Sequential(*layers)
        self.out_channels = out_channels

    def forward(self, inputs: Any) -> Float[Tensor, 'n c ...']:
        """Map (N, C, h, w) or rows (M, C), or what a backbone gives, whose last map it takes."""
        if isinstance(inputs, Sequence):
            inputs = inputs[-1]
        outputs: Tensor = self.mlp(inputs)
        return outputs

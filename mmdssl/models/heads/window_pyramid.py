"""The pyramid of ReSim (ICCV 2021): maps of 1/16 and 1/8 whose windows are compared.

Top-down from C5: a 1x1 convolution of each stage, the map above brought to twice the size by its
nearest cells and added; a 3x3 convolution ends level 4 and level 3. Level 5 has none, and what is
passed down is the sum before it. The unpublished C4 form has one 1x1 convolution of C4 instead.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from mmengine.model import BaseModule
from mmpretrain.models.utils import build_norm_layer
from torch import Tensor, nn

from mmdssl.models.utils.setting_checks import SettingChecks
from mmdssl.registry import MODELS


@MODELS.register_module()
class WindowPyramid(BaseModule):
    """See the module docstring.

    Args:
        in_channels: Of C3, C4 and C5; of C4 alone for ``'c4'``.
        out_channels: Of every map.
        levels: ``('c4', 'c3')``, the FPN form, or ``('c4',)``.
        norm_cfg: A norm in place of the biases; None as published.
        init_cfg: mmengine initialisation; None: uniform as in detectron2 (Kaiming, a = 1), biases
            0.

    Raises:
        ValueError: If levels and channels do not fit.
    """

    def __init__(
        self,
        *,
        in_channels: Sequence[int],
        out_channels: int = 256,
        levels: Sequence[str] = ('c4', 'c3'),
        norm_cfg: dict | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        if init_cfg is None:
            uniform = dict(a=1, mode='fan_in', nonlinearity='leaky_relu', distribution='uniform')
            init_cfg = dict(type='Kaiming', layer='Conv2d', **uniform)
        super().__init__(init_cfg=init_cfg)
        self.levels = tuple(levels)
        SettingChecks('WindowPyramid').choice('levels', self.levels, (('c4', 'c3'), ('c4',)))
        needed = 3 if len(self.levels) == 2 else 1
        if len(in_channels) != needed:
            raise ValueError(
                f'WindowPyramid: in_channels={tuple(in_channels)} for levels={self.levels}; give '
                "the widths of C3, C4 and C5, or that of C4 alone for ('c4',)"
            )

        def layer(width: int, kernel: int) -> nn.Module:
            conv = nn.Conv2d(width, out_channels, kernel, padding=kernel // 2, bias=not norm_cfg)
            return (
                nn.Sequential(conv, build_norm_layer(norm_cfg, out_channels)) if norm_cfg else conv
            )

        if needed == 1:
            self.lateral4 = layer(in_channels[0], 1)
            return
        self.lateral5 = layer(in_channels[2], 1)
        self.lateral4 = layer(in_channels[1], 1)
        self.lateral3 = layer(in_channels[0], 1)
        self.output4 = layer(out_channels, 3)
        self.output3 = layer(out_channels, 3)

    def forward(
        self, maps: Sequence[Float[Tensor, 'n _ _ _']]
    ) -> tuple[Float[Tensor, 'n c _ _'], ...]:
        """Maps of the levels.

        Args:
            maps: C3, C4 and C5, (N, C, h, w) each; for ``'c4'`` C4 and C5.

        Returns:
            (N, D, h, w) of each of ``levels``.
        """
        if len(self.levels) == 1:
            return (self.lateral4(maps[-2]),)
        third, fourth, fifth = maps
        upper = self.lateral4(fourth) + _enlarged(self.lateral5(fifth), fourth)
        lower = self.lateral3(third) + _enlarged(upper, third)
        return self.output4(upper), self.output3(lower)


def _enlarged(
    small: Float[Tensor, 'n c _ _'], like: Float[Tensor, 'n _ h w']
) -> Float[Tensor, 'n c h w']:
    """A map brought to the size of another one by its nearest cells."""
    return F.interpolate(small, size=like.shape[2:], mode='nearest')

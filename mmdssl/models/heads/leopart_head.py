"""The head of Leopart (CVPR 2022) and NeCo: MLP, L2 normalisation; Leopart's, unit prototypes."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdssl.models.utils.precision import unit
from mmdssl.registry import MODELS


@MODELS.register_module()
class LeopartHead(BaseModule):
    """Maps patch tokens to cosines with prototypes.

    Linear layers with GELU between them, L2 normalisation, then a bias-free linear layer whose
    rows, the prototypes, are brought back to unit length before every step.

    Args:
        in_channels: Token width.
        hidden_channels: Width of the hidden layers.
        bottleneck_channels: Width of the vectors that are compared with prototypes.
        num_prototypes: Number of prototypes; None: none, the head ends at the unit vectors (NeCo).
        num_layers: Linear layers before the normalisation, >= 1.
        init_std: Truncated normal initialisation.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        hidden_channels: int = 2048,
        bottleneck_channels: int = 256,
        num_prototypes: int | None = 300,
        num_layers: int = 3,
        init_std: float = 0.02,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if num_layers < 1:
            raise ValueError(f'LeopartHead: num_layers is {num_layers}, give at least 1')
        if num_prototypes is not None and num_prototypes < 2:
            raise ValueError(f'LeopartHead: num_prototypes is {num_prototypes}, give at least 2')
        widths = [in_channels, *[hidden_channels] * (num_layers - 1), bottleneck_channels]
        layers: list[nn.Module] = []
        for index in range(num_layers):
            layers += [nn.Linear(widths[index], widths[index + 1]), nn.GELU()]
        self.mlp = nn.Sequential(*layers[:-1])  # no activation after the last
        self.prototypes: Any = None
        if num_prototypes is not None:
            self.prototypes = nn.Linear(bottleneck_channels, num_prototypes, bias=False)
        self.bottleneck_channels = bottleneck_channels
        self.num_prototypes = num_prototypes
        self.init_std = init_std

    def init_weights(self) -> None:
        """Truncated normal, zero biases; prototypes of unit length."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=self.init_std)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self.normalise_prototypes()

    @torch.no_grad()
    def normalise_prototypes(self) -> None:
        """Bring every prototype back to unit length, in place."""
        if self.prototypes is not None:
            self.prototypes.weight.copy_(F.normalize(self.prototypes.weight, dim=1))

    def written_parameters(self) -> list[Float[Tensor, '...']]:
        """The prototypes, which :meth:`normalise_prototypes` writes before a step."""
        return [] if self.prototypes is None else [self.prototypes.weight]

    def project(self, tokens: Float[Tensor, '*n c']) -> Float[Tensor, '*n d']:
        """Tokens (..., in_channels) -> unit vectors (..., bottleneck_channels), float32 or more."""
        return unit(self.mlp(tokens))

    def scores(self, projected: Float[Tensor, '*n d']) -> Float[Tensor, '*n k']:
        """Unit vectors (..., bottleneck_channels) -> cosines (..., num_prototypes)."""
        with torch.autocast(projected.device.type, enabled=False):
            cosines: Tensor = self.prototypes(projected)
        return cosines

    def forward(self, tokens: Float[Tensor, '*n c']) -> Float[Tensor, '*n k']:
        """Tokens (..., in_channels) -> cosines (..., num_prototypes), or the unit vectors."""
        projected = self.project(tokens)
        return projected if self.prototypes is None else self.scores(projected)

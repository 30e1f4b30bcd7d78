"""Projections of cells and their scores with prototypes of fixed length (PLRC, CVPR 2022)."""

from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdssl.registry import MODELS


@MODELS.register_module()
class PrototypeScores(BaseModule):
    """Projection of cells, and its cosines with K prototypes.

    Args:
        projector: A :class:`PointMLP` on maps.
        num_prototypes: K.
        init_std: Truncated normal of the prototypes; their length does not matter.
        init_cfg: mmengine initialisation.
    """

    def __init__(
        self,
        *,
        projector: dict | nn.Module,
        num_prototypes: int = 4096,
        init_std: float = 0.02,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.projector: Any = MODELS.build(projector) if isinstance(projector, dict) else projector
        width: int = cast(Any, self.projector).out_channels
        self.prototypes = nn.Parameter(torch.empty(num_prototypes, width))
        self.num_prototypes = num_prototypes
        nn.init.trunc_normal_(self.prototypes, std=init_std)
        #: (K, 1) length that each prototype is brought to; the official ones are 1 and stay.
        self.lengths = nn.Parameter(torch.ones(num_prototypes, 1), requires_grad=False)

    def project(self, maps: Float[Tensor, 'n c h w']) -> Float[Tensor, 'n d h w']:
        """Vectors of any length of every cell, (N, D, h, w), in float32 or more."""
        vectors: Tensor = self.projector(maps)
        return vectors if vectors.dtype == torch.float64 else vectors.float()

    def scores(self, vectors: Float[Tensor, 'n d h w']) -> Float[Tensor, 'n k h w']:
        """Products of vectors (N, D, h, w) with the prototypes, brought to their length."""
        with torch.autocast(vectors.device.type, enabled=False):
            weight = self.lengths * F.normalize(self.prototypes, dim=1)
            weight = weight.to(vectors.dtype)
            return cast(Tensor, F.conv2d(vectors, weight[:, :, None, None]))

    def forward(
        self, maps: Float[Tensor, 'n c h w']
    ) -> tuple[Float[Tensor, 'n d h w'], Float[Tensor, 'n k h w']]:
        """Unit vectors (N, D, h, w) and their scores (N, K, h, w)."""
        unit = F.normalize(self.project(maps), dim=1)
        return unit, self.scores(unit)

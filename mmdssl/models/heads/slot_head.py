"""Slots: learnt prototypes that the cells of a map are softly assigned to (SlotCon, 2022)."""

from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmdssl.models.utils.setting_checks import SettingChecks
from mmdssl.registry import MODELS

# Every cell belongs to every slot that much at least, so that no slot is empty.
_LEAST = 1e-6


@MODELS.register_module()
class SlotHead(BaseModule):
    """K prototypes e_k; a cell x belongs to slot k by softmax over k of cos(e_k, x) / temperature.

    Args:
        in_channels: Width of the vectors of the cells.
        num_slots: K, at least 2.
        temperature: Of the assignment.
        init_cfg: mmengine initialisation; without one N(0, 1).
    """

    def __init__(
        self,
        *,
        in_channels: int,
        num_slots: int = 256,
        temperature: float = 0.07,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        SettingChecks('SlotHead').at_least('num_slots', num_slots, 2)
        self.slot_embed = nn.Embedding(num_slots, in_channels)
        self.num_slots = num_slots
        self.temperature = temperature

    def scores(self, maps: Float[Tensor, 'n d h w']) -> Float[Tensor, 'n {self.num_slots} h w']:
        """Cosine of every cell with every prototype, (N, K, h, w), in float32 or more."""
        with torch.autocast(maps.device.type, enabled=False):
            maps = maps if maps.dtype == torch.float64 else maps.float()
            slots = F.normalize(self.slot_embed.weight.to(maps.dtype), dim=1)
            return cast(Tensor, F.conv2d(F.normalize(maps, dim=1), slots[:, :, None, None]))

    def forward(
        self, maps: Float[Tensor, 'n d h w']
    ) -> tuple[Float[Tensor, 'n k d'], Float[Tensor, 'n k h w']]:
        """Slots and scores of maps.

        Returns:
            (N, K, D) slots: means of the cells, of any length, weighted by how much each belongs
            to a slot; and (N, K, h, w) scores.
        """
        scores = self.scores(maps)
        with torch.autocast(maps.device.type, enabled=False):
            shares = (scores / self.temperature).softmax(dim=1).flatten(2) + _LEAST  # (N, K, S)
            shares = shares / shares.sum(dim=2, keepdim=True)
            cells = maps.flatten(2).to(shares.dtype)
            return shares @ cells.transpose(1, 2), scores

"""Probes of a frozen backbone by segmentation: a linear layer, or a small FCN (Leopart, CVPR 2022).

Patch features (28 x 28 of a ViT-S/16 at 448 pixels) are brought to 100 x 100 by bilinear
interpolation *before* the head, and loss and score are taken at that size. mmseg's own segmentors
compare at the size of the image, so this one keeps maps at the probe's size; the label maps come
at that size from the pipeline (``ResizeWithMap``, ``RandomResizedCropWithMap``).

The papers do not agree on the FCN: Leopart's code freezes the backbone, "Mind Your Augmentation"
(ICLR 2024) fine-tunes it; ``freeze_backbone`` is the switch.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.models import EncoderDecoder
from torch import Tensor

from mmdssl.datasets.transforms.mask_transform import parse_size
from mmdssl.registry import MODELS

__all__ = ['DenseProbe']


@MODELS.register_module()
class DenseProbe(EncoderDecoder):
    """mmseg's ``EncoderDecoder`` at the resolution of a probe.

    Args:
        map_size: Side of the square, or (height, width), of features, predictions and label maps.
        freeze_backbone: Keep the backbone as it is: no gradient, eval mode, also while the head
            trains. False: fine-tune it.
        **settings: Of ``EncoderDecoder``: backbone, decode_head, data_preprocessor, ...
    """

    def __init__(
        self,
        *,
        map_size: int | Sequence[int] = 100,
        freeze_backbone: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.map_size = parse_size(map_size, 'DenseProbe: map_size')
        self.freeze_backbone = freeze_backbone
        if freeze_backbone:
            self.backbone.requires_grad_(False)
            self.backbone.eval()

    def train(self, mode: bool = True) -> 'DenseProbe':
        """Training mode of the head, and of the backbone unless it is frozen."""
        super().train(mode)
        if self.freeze_backbone:
            self.backbone.eval()
        return self

    def extract_feat(self, inputs: Tensor) -> list[Tensor]:
        """Maps of the backbone at the probe's size.

        Args:
            inputs: (N, 3, H, W), float, normalised.

        Returns:
            One (N, C, h, w) a map, h and w those of ``map_size``.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze_backbone):
            maps = super().extract_feat(inputs)
            return [
                F.interpolate(one, size=self.map_size, mode='bilinear', align_corners=False)
                for one in maps
            ]

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Scores (N, classes, h, w) at the probe's size, not at the image's."""
        return self.decode_head.forward(self.extract_feat(inputs))

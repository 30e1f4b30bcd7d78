"""A frozen backbone as a model of its own: images in, maps of local semantic consistency out."""

from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmdssl.evaluation.consistency import local_consistency
from mmdssl.evaluation.extractors.frozen_backbone import FrozenBackbone
from mmdssl.registry import MODELS

__all__ = ['ConsistencyExtractor']


@MODELS.register_module()
class ConsistencyExtractor(FrozenBackbone):
    """LSC of whole images, usable with mmengine's ``Runner.test``.

    Args:
        backbone: Config or module; shared, not copied, if a module.
        data_preprocessor: Config or module that normalises (N, 3, H, W) uint8 RGB; the default
            uses ImageNet's mean and standard deviation.
        **settings: ``patch``, ``crop``, ``pool``, ``region``, ``layer``, ``chunk``, ``amp`` of
            :func:`mmdssl.evaluation.consistency.local_consistency`.
    """

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        data_preprocessor: dict | nn.Module | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(backbone=backbone, data_preprocessor=data_preprocessor)
        self.settings = settings

    def forward(
        self,
        inputs: Tensor,
        data_samples: list[BaseDataElement] | None = None,
        mode: str = 'predict',
    ) -> list[BaseDataElement] | Tensor:
        """Maps of the images.

        Args:
            inputs: (N, 3, H, W) float, normalised.
            data_samples: N samples.
            mode: 'predict' adds ``local_consistency`` (I, J) float32 on the CPU to the samples
                and returns them; 'tensor' returns the maps (N, I, J).

        Raises:
            ValueError: For another mode, or 'predict' without samples.
        """
        maps = local_consistency(self.backbone, inputs, **self.settings)
        if mode == 'tensor':
            return maps
        if mode != 'predict' or data_samples is None:
            raise ValueError(
                f"ConsistencyExtractor does not train: mode={mode!r} must be 'tensor', or "
                "'predict' with data_samples"
            )
        for sample, own in zip(data_samples, maps.cpu(), strict=True):
            sample.set_field(own.clone(), 'local_consistency', dtype=torch.Tensor)
        return data_samples

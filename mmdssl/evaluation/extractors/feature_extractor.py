"""A frozen backbone as a model of its own: images in, a vector per object or patch out."""

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmdssl.evaluation.extractors.frozen_backbone import FrozenBackbone
from mmdssl.evaluation.features import dense_map, object_features
from mmdssl.evaluation.guards import evaluating
from mmdssl.registry import MODELS

__all__ = ['FeatureExtractor']


@MODELS.register_module()
class FeatureExtractor(FrozenBackbone):
    """Backbone for evaluation, usable with mmengine's ``Runner.test``.

    Args:
        backbone: Config or module; shared, not copied, if a module.
        data_preprocessor: Config or module that normalises (N, 3, H, W) uint8 RGB; the default
            uses ImageNet's mean and standard deviation.
        roi_size: Cells per side of RoIAlign.
        upsample_c4: O-KNN's rule for ResNets, see :mod:`mmdssl.evaluation.features`.
    """

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        data_preprocessor: dict | nn.Module | None = None,
        roi_size: int = 7,
        upsample_c4: bool = True,
    ) -> None:
        super().__init__(backbone=backbone, data_preprocessor=data_preprocessor)
        self.roi_size = roi_size
        self.upsample_c4 = upsample_c4

    def forward(
        self,
        inputs: Tensor,
        data_samples: list[BaseDataElement] | None = None,
        mode: str = 'predict',
    ) -> list[BaseDataElement] | Tensor:
        """Features of the objects, or of the whole images.

        Args:
            inputs: (N, 3, H, W) float, normalised.
            data_samples: N samples with ``gt_instances.bboxes`` (n_i, 4) in pixels of the inputs,
                or with a label map ``gt_seg_map``.
            mode: 'predict' adds ``object_features`` (n_i, C), float32 of unit length on the CPU,
                or, to samples with a label map, ``patch_features`` (C, h, w), float32 on the CPU,
                to the samples and returns them; 'tensor' returns the dense map (N, C, h, w).

        Raises:
            ValueError: For another mode, or 'predict' without samples.
        """
        if mode == 'tensor':
            return dense_map(self.backbone, inputs, upsample_c4=self.upsample_c4)
        if mode != 'predict' or data_samples is None:
            raise ValueError(
                f"FeatureExtractor does not train: mode={mode!r} must be 'tensor', or 'predict' "
                'with data_samples'
            )
        if all('gt_seg_map' in sample for sample in data_samples):
            with evaluating(self.backbone):
                maps = dense_map(self.backbone, inputs, upsample_c4=self.upsample_c4).cpu()
            for sample, own in zip(data_samples, maps, strict=True):
                sample.set_field(own.clone(), 'patch_features', dtype=torch.Tensor)
            return data_samples
        boxes = [sample.gt_instances.bboxes for sample in data_samples]
        features = object_features(
            self.backbone,
            inputs,
            boxes,
            roi_size=self.roi_size,
            upsample_c4=self.upsample_c4,
        ).cpu()
        # A copy each: slices would keep, and pickle, the whole batch.
        for sample, own in zip(data_samples, features.split([len(b) for b in boxes]), strict=True):
            sample.set_field(own.clone(), 'object_features', dtype=torch.Tensor)
        return data_samples

"""A frozen backbone as a model of its own: images in, a vector per object or patch out."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from mmdssl.evaluation.extractors.frozen_backbone import FrozenBackbone
from mmdssl.evaluation.features import dense_map, object_features, pool_boxes
from mmdssl.evaluation.guards import evaluating
from mmdssl.evaluation.tokens import patch_tokens
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
        tokens: Places of the network, see :mod:`mmdssl.evaluation.tokens`, whose patches the
            samples get beside what their annotations ask for, all from one pass.
        pad_to: Pixels whose multiple the normalised images are padded to, with zeros at right and
            bottom, for images of their own sizes.

    Raises:
        ValueError: If ``tokens`` is a text and no list of names, or ``pad_to`` is below 1.
    """

    def __init__(
        self,
        *,
        backbone: dict | nn.Module,
        data_preprocessor: dict | nn.Module | None = None,
        roi_size: int = 7,
        upsample_c4: bool = True,
        tokens: Sequence[str] = (),
        pad_to: int | None = None,
    ) -> None:
        super().__init__(backbone=backbone, data_preprocessor=data_preprocessor)
        if isinstance(tokens, str):
            raise ValueError(f'tokens={tokens!r} must be a list of names such as [{tokens!r}]')
        if pad_to is not None and pad_to < 1:
            raise ValueError(f'pad_to={pad_to} must be at least 1 pixel')
        self.roi_size = roi_size
        self.upsample_c4 = upsample_c4
        self.tokens = tuple(tokens)
        self.pad_to = pad_to

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
                With ``tokens`` it adds both where a sample has both, and to all samples
                ``patch_tokens`` and ``prefix_tokens``, dicts from places to (C, h, w) and (P, C),
                float32 on the CPU, and ``batch_input_shape``, height and width with the padding.

        Raises:
            ValueError: For another mode, or 'predict' without samples.
        """
        if self.pad_to is not None:
            height, width = inputs.shape[-2:]
            inputs = F.pad(inputs, (0, -width % self.pad_to, 0, -height % self.pad_to))
        if mode == 'tensor':
            return dense_map(self.backbone, inputs, upsample_c4=self.upsample_c4)
        if mode != 'predict' or data_samples is None:
            raise ValueError(
                f"FeatureExtractor does not train: mode={mode!r} must be 'tensor', or 'predict' "
                'with data_samples'
            )
        if self.tokens:
            return self._with_tokens(inputs, data_samples)
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

    def _with_tokens(
        self, inputs: Tensor, data_samples: list[BaseDataElement]
    ) -> list[BaseDataElement]:
        """Everything that the samples ask for, from one pass."""
        places = dict.fromkeys((*self.tokens, 'last'))
        with evaluating(self.backbone):
            found = patch_tokens(self.backbone, inputs, list(places), upsample_c4=self.upsample_c4)
        last = found['last'].patches
        size = tuple(inputs.shape[-2:])
        for index, sample in enumerate(data_samples):
            sample.set_metainfo(dict(batch_input_shape=size))
            for field, part in (('patch_tokens', 'patches'), ('prefix_tokens', 'prefix')):
                own = {n: getattr(found[n], part)[index].cpu().clone() for n in self.tokens}
                sample.set_field(own, field, dtype=dict)
            if 'gt_seg_map' in sample:
                sample.set_field(last[index].cpu().clone(), 'patch_features', dtype=torch.Tensor)
            if 'gt_instances' in sample:
                boxes = [sample.gt_instances.bboxes]
                pooled = pool_boxes(last[index : index + 1], boxes, size, roi_size=self.roi_size)
                unit = F.normalize(pooled, dim=1).cpu()
                sample.set_field(unit, 'object_features', dtype=torch.Tensor)
        return data_samples

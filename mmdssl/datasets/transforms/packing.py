"""From views to tensors: the last step in a worker, in the type of the pixels."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmpretrain.structures import DataSample

from mmdssl.registry import TRANSFORMS

__all__ = ['PackViews']


@TRANSFORMS.register_module()
class PackViews(BaseTransform):
    """Packs the views that :class:`MultiViewWithBoxes` made.

    Gives ``dict(inputs=..., data_samples=DataSample)`` where ``inputs`` holds
    ``views``, a list of uint8 RGB tensors (3, H, W) (or of n channels, in
    their type), and for each of ``keys`` a
    list of tensors of the views that have it, in the order of the views (masks
    are bool (h, w)). With ``default_collate`` a batch then has
    ``inputs['views'][v]`` of shape (N, 3, H, W).

    Args:
        keys: entries of a view to pack beside its image: arrays of the same
            shape in all samples.
        meta_keys: entries of ``results`` to put into the data sample's
            metainfo where present.

    Raises:
        ValueError: (when used) if there are no views, or no view has a key.
    """

    def __init__(
        self,
        *,
        keys: Sequence[str] = (),
        meta_keys: Sequence[str] = ('sample_idx', 'img_id', 'img_path', 'ori_shape', 'img_shape'),
    ) -> None:
        self.keys = tuple(keys)
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Packs one sample."""
        views = results.get('views')
        if not views:
            raise ValueError(
                "PackViews found no results['views']: put MultiViewWithBoxes before it"
            )
        inputs = {'views': [_image_to_tensor(view['img']) for view in views]}
        for key in self.keys:
            inputs[key] = [_to_tensor(view[key]) for view in views if key in view]
            if not inputs[key]:
                raise ValueError(
                    f'PackViews is told to pack {key!r}, but no view has it: add the transform '
                    f'that writes it to a view, or take {key!r} out of keys'
                )
        sample = DataSample()
        for key in self.meta_keys:
            if key in results:  # field by field: DataSample(metainfo=...) makes deep copies
                sample.set_field(results[key], key, field_type='metainfo')
        return {'inputs': inputs, 'data_samples': sample}

    def __repr__(self) -> str:
        return f'PackViews(keys={self.keys}, meta_keys={self.meta_keys})'


def _image_to_tensor(image: np.ndarray) -> torch.Tensor:
    """(H, W, C) array to a contiguous (C, H, W) tensor."""
    height, width, channels = image.shape
    planes = np.empty((channels, height, width), image.dtype)
    cv2.split(np.ascontiguousarray(image), list(planes))  # twice as fast as a transposed copy
    return torch.from_numpy(planes)


def _to_tensor(value: Any) -> torch.Tensor:
    """An array or number as a tensor of the same dtype."""
    return torch.from_numpy(np.ascontiguousarray(value))

"""From the results dict to what the evaluation of objects reads: image, boxes, labels, tag."""

from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import InstanceData
from mmpretrain.structures import DataSample

from mmdssl.registry import TRANSFORMS

__all__ = ['PackObjects']


@TRANSFORMS.register_module()
class PackObjects(BaseTransform):
    """Pack an image with its objects.

    Gives ``inputs``, a (3, H, W) uint8 RGB tensor, and ``data_samples``, a ``DataSample`` with
    ``gt_instances.bboxes`` (n, 4) float32 pixels of the packed image, ``gt_instances.labels``
    (n,) int64 and the meta information. Images of one size collate to (N, 3, H, W) with
    ``default_collate``.

    Args:
        meta_keys: Entries of the results that go along where present.
        maps: Names of maps (h, w) that go along where present, of any resolution.
    """

    def __init__(
        self,
        *,
        meta_keys: Sequence[str] = (
            'sample_idx',
            'img_id',
            'img_path',
            'ori_shape',
            'img_shape',
            'tag',
            'background_path',
        ),
        maps: Sequence[str] = ('gt_instance_map', 'gt_seg_map'),
    ) -> None:
        self.meta_keys = tuple(meta_keys)
        self.maps = tuple(maps)

    def transform(self, results: dict) -> dict:
        """Pack ``results``."""
        image = np.ascontiguousarray(results['img'].transpose(2, 0, 1))  # (H, W, 3) -> (3, H, W)
        sample = DataSample(
            metainfo={key: results[key] for key in self.meta_keys if key in results}
        )
        sample.gt_instances = InstanceData(
            bboxes=torch.as_tensor(results['gt_bboxes'], dtype=torch.float32).reshape(-1, 4),
            labels=torch.as_tensor(results['gt_labels'], dtype=torch.int64),
        )
        for name in self.maps:
            if name in results:
                pixels = torch.from_numpy(np.ascontiguousarray(results[name]))
                sample.set_field(pixels, name, dtype=torch.Tensor)
        return dict(inputs=torch.from_numpy(image), data_samples=sample)

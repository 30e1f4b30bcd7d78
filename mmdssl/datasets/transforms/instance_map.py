"""Which object a pixel belongs to: a map of ids, out of outlines or out of a label map."""

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from scipy.ndimage import label as connected_parts

from mmdssl.datasets.transforms.semantic_maps import draw_objects
from mmdssl.registry import TRANSFORMS

__all__ = ['InstanceMap']

_IGNORED = 255


@TRANSFORMS.register_module()
class InstanceMap(BaseTransform):
    """Add ``gt_instance_map`` (H, W) int32: 0 background, 255 ignored, all else ids of objects.

    From ``gt_masks`` (:class:`CocoObjects`), where objects overlap the smaller one on top; or, of
    an image without them, from ``gt_seg_map`` (:class:`SemanticFolder` and
    :class:`LoadSemanticMap`): an object is a part of one class that hangs together over edges.
    To be used before the image changes its geometry; the map stays as fine as the annotation.

    Args:
        background: Label of the label map that is no object; None: every label is one.

    Raises:
        ValueError: In use, if an image has neither, or an object has no outline.
    """

    def __init__(self, *, background: int | None = 0) -> None:
        self.background = background

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the map."""
        if 'gt_masks' in results:
            drawn = draw_objects(results, _ids(len(results['gt_masks'])))
        elif 'gt_seg_map' in results:
            drawn = self._parts(results['gt_seg_map'])
        else:
            raise ValueError(
                f'InstanceMap: {results.get("img_path", "an image")} has neither outlines nor a '
                'label map: use CocoObjects with outlines, or LoadSemanticMap before it'
            )
        results['gt_instance_map'] = drawn
        return results

    def _parts(self, labels: np.ndarray) -> np.ndarray:
        drawn = np.zeros(labels.shape, np.int32)
        drawn[labels == _IGNORED] = _IGNORED
        count = 0
        for label in np.unique(labels):
            if label in (_IGNORED, self.background):
                continue
            parts, number = connected_parts(labels == label)
            ids = np.concatenate([[0], _ids(count + number)[count:]])
            drawn += ids[parts].astype(np.int32)
            count += number
        return drawn


def _ids(count: int) -> np.ndarray:
    """(count,) ids from 1 on, without that of ignored pixels."""
    ids = np.arange(1, count + 1)
    return ids + (ids >= _IGNORED)

"""Choice of the objects an evaluation looks at: the same ones on every machine and in any order."""

from typing import Literal
from zlib import crc32

import numpy as np
from mmcv.transforms import BaseTransform

from mmdssl.datasets.transforms.boxes import box_area, ids_key
from mmdssl.registry import TRANSFORMS

__all__ = ['SelectObjects', 'sample_generator']


def sample_generator(results: dict, seed: int, purpose: str) -> np.random.Generator:
    """Generator that depends on image, seed and purpose only, not on worker, order or subset.

    The image is known by ``img_id``, or where there is none by ``sample_idx``; ``purpose`` keeps
    the draws of two transforms with the same seed apart.
    """
    name = results.get('img_id', results['sample_idx'])
    return np.random.default_rng([seed, crc32(purpose.encode()), crc32(str(name).encode())])


@TRANSFORMS.register_module()
class SelectObjects(BaseTransform):
    """Keep at most ``num`` objects of an image, in their order of annotation.

    O-KNN takes N = 3 per image; which ones the paper leaves open ("Mind Your Augmentation"
    (ICLR 2024), App. E.3.2).

    Required keys: ``gt_bboxes`` (n, 4), ``gt_labels`` (n,), ``img_id`` or ``sample_idx``.
    Modified keys: ``gt_bboxes``, ``gt_labels``. Added or modified: ``gt_bboxes_ids`` (m,)
    int64, the position of the kept objects among the annotated ones.

    Args:
        num: Objects to keep, ``None`` for all.
        select: 'random': without replacement, drawn from ``seed`` and the image's id; 'largest':
            by box area, of equal ones the first; 'all': every one, whatever ``num``.
        seed: Seed of the draw.

    Raises:
        ValueError: If ``select`` or ``num`` is not as said.
    """

    def __init__(
        self,
        *,
        num: int | None = 3,
        select: Literal['random', 'largest', 'all'] = 'random',
        seed: int = 0,
    ) -> None:
        if select not in ('random', 'largest', 'all'):
            raise ValueError(f"select={select!r} must be 'random', 'largest' or 'all'")
        if num is not None and num < 1:
            raise ValueError(f'num={num} must be positive, or None for all objects')
        self.num = None if select == 'all' else num
        self.select = select
        self.seed = seed

    def transform(self, results: dict) -> dict:
        """Keep the chosen objects."""
        boxes = results['gt_bboxes']
        key = ids_key('gt_bboxes')
        kept: np.ndarray = np.arange(len(boxes))
        if self.num is not None and len(boxes) > self.num:
            if self.select == 'random':
                generator = sample_generator(results, self.seed, 'select')
                kept = generator.choice(kept, self.num, replace=False)
            else:
                kept = np.argsort(-box_area(boxes), kind='stable')[: self.num]
            kept = np.sort(kept)
        results['gt_bboxes'] = boxes[kept]
        results['gt_labels'] = results['gt_labels'][kept]
        results[key] = results[key][kept] if key in results else kept
        return results

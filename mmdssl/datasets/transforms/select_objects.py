"""Choice of the objects an evaluation looks at: the same ones on every machine and in any order."""

from collections.abc import Mapping
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

    O-KNN takes N = 3 per image of the bank, lest frequent classes fill it, and asks for each object
    of the evaluation set; O-KNN-D exchanges what N selected boxes of an image leave, in either set.
    Which ones the paper leaves open ("Mind Your Augmentation" (ICLR 2024), Sec. 5.3, App. E.3.2).

    Required keys: ``gt_bboxes`` (n, 4), ``gt_labels`` (n,), ``img_id`` or ``sample_idx``; ``tag``
    where ``num_by_tag`` is given. Modified keys: ``gt_bboxes``, ``gt_labels``. Added or modified:
    ``gt_bboxes_ids`` (m,) int64, the position of the kept objects among the annotated ones.

    Args:
        num: Objects to keep, ``None`` for all.
        num_by_tag: Another number for images of some parts of a :class:`TaggedConcat`, such as
            ``dict(query=None)``.
        select: 'random': without replacement, drawn from ``seed`` and the image's id; 'largest':
            by box area, of equal ones the first; 'all': every one, whatever ``num``.
        seed: Seed of the draw.

    Raises:
        ValueError: If ``select`` or a number is not as said, or in use, if ``num_by_tag`` is given
            and an image has no tag.
    """

    def __init__(
        self,
        *,
        num: int | None = 3,
        num_by_tag: Mapping[str, int | None] | None = None,
        select: Literal['random', 'largest', 'all'] = 'random',
        seed: int = 0,
    ) -> None:
        if select not in ('random', 'largest', 'all'):
            raise ValueError(f"select={select!r} must be 'random', 'largest' or 'all'")
        for value in (num, *(num_by_tag or {}).values()):
            if value is not None and value < 1:
                raise ValueError(f'num={value} must be positive, or None for all objects')
        self.num = None if select == 'all' else num
        self.num_by_tag = {} if select == 'all' else dict(num_by_tag or {})
        self.select = select
        self.seed = seed

    def transform(self, results: dict) -> dict:
        """Keep the chosen objects."""
        boxes = results['gt_bboxes']
        key = ids_key('gt_bboxes')
        kept: np.ndarray = np.arange(len(boxes))
        num = self._num(results)
        if num is not None and len(boxes) > num:
            if self.select == 'random':
                generator = sample_generator(results, self.seed, 'select')
                kept = generator.choice(kept, num, replace=False)
            else:
                kept = np.argsort(-box_area(boxes), kind='stable')[:num]
            kept = np.sort(kept)
        results['gt_bboxes'] = boxes[kept]
        results['gt_labels'] = results['gt_labels'][kept]
        results[key] = results[key][kept] if key in results else kept
        return results

    def _num(self, results: dict) -> int | None:
        """Objects to keep of this image."""
        if not self.num_by_tag:
            return self.num
        if 'tag' not in results:
            raise ValueError(
                f'SelectObjects(num_by_tag={self.num_by_tag}) found no tag of '
                f'{results.get("img_path", "an image")}: use it within TaggedConcat, or num alone'
            )
        return self.num_by_tag.get(results['tag'], self.num)

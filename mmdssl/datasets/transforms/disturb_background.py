"""The disturbance of O-KNN-D: objects stay where they are, the scene around them is another one.

A feature that is about the object survives; one that leaned on the context does not ("Mind Your
Augmentation" (ICLR 2024), Sec. 5.3, O-KNN on disturbed images).
"""

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from mmdssl.datasets.pipeline import build_pipeline
from mmdssl.datasets.transforms.select_objects import sample_generator
from mmdssl.datasets.transforms.views import ResizeWithBoxes
from mmdssl.registry import TRANSFORMS

__all__ = ['DisturbBackground']

_TRIES = 16  # other indices to try where a data set lists one file several times


@TRANSFORMS.register_module()
class DisturbBackground(BaseTransform):
    """Replace all pixels outside the objects by another random image of the same data set.

    Runs after the image has its final size; the other image is squashed to the same size. Every
    pixel that a box touches is kept. Which other image is a function of ``seed`` and the image's
    id alone, so all epochs, workers and backbones see the same disturbed images.

    Required keys: ``img`` (h, w, 3) uint8, ``gt_bboxes`` (n, 4) pixels, ``img_path``,
    ``sample_idx``, ``dataset`` (as :class:`TaggedConcat` gives it). Modified key: ``img``. Added
    key: ``background_path``.

    Args:
        load: Transforms that turn another sample's raw results into ``img``.
        seed: Seed of the choice.

    Raises:
        ValueError: If the data set has no second image.
    """

    def __init__(self, *, load: Sequence[dict] = ({'type': 'LoadImage'},), seed: int = 0) -> None:
        self.load = build_pipeline(load)
        self.seed = seed
        self._resizers: dict[tuple[int, int], ResizeWithBoxes] = {}

    def transform(self, results: dict) -> dict:
        """Paste the objects onto another image."""
        image = results['img']
        other = self._load_other(results, size=image.shape[:2])
        disturbed = other['img'].copy()
        height, width = image.shape[:2]
        low = np.floor(results['gt_bboxes'][:, :2]).astype(int).clip(0)
        high = np.ceil(results['gt_bboxes'][:, 2:]).astype(int).clip(max=(width, height))
        for (left, top), (right, bottom) in zip(low, high, strict=True):
            disturbed[top:bottom, left:right] = image[top:bottom, left:right]
        results['img'] = disturbed
        results['background_path'] = other['img_path']
        return results

    def _load_other(self, results: dict, size: tuple[int, int]) -> dict:
        other = self.load(self._choose_other(results))
        if other['img'].shape[:2] != size:
            if size not in self._resizers:
                self._resizers[size] = ResizeWithBoxes(size=size)
            other = self._resizers[size](other)
        return other

    def _choose_other(self, results: dict) -> dict:
        """Raw results of another image, never the same file."""
        dataset, index = results.get('dataset'), results['sample_idx']
        if dataset is None:
            raise ValueError('DisturbBackground needs other images: use it within TaggedConcat')
        generator = sample_generator(results, self.seed, 'background')
        for _ in range(_TRIES if len(dataset) > 1 else 0):
            # Uniform over all indices but the image's own.
            other = int(generator.integers(len(dataset) - 1))
            info = dataset.get_data_info(other + (other >= index))
            if info['img_path'] != results['img_path']:
                return info
        raise ValueError(
            f'DisturbBackground finds no other image than {results["img_path"]} in a data set of '
            f'{len(dataset)}: it needs at least two images'
        )

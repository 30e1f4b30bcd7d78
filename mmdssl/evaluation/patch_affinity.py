"""Patch affinity: do patches of one object resemble each other more than all else in the photo?

For a patch inside an object the cosines with all other patches are the scores of a detector of
"the same object": the area under its ROC curve is 1 where every patch of the object is nearer than
any other, and 1/2 where the object cannot be told. A similarity of this kind is compared with human
grouping in arXiv 2603.13994, which does not say how curves are pooled; here every patch has a
curve of its own, an object the mean over its patches, and the score is the mean over objects.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Int64, Shaped
from scipy.stats import rankdata
from torch import Tensor

from mmdssl.evaluation.bootstrap import ratio_interval
from mmdssl.evaluation.gathering import GatheredMetric
from mmdssl.evaluation.tokens import token_of
from mmdssl.registry import METRICS

__all__ = ['Affinity', 'PatchAffinity', 'patch_affinity', 'patch_labels']

_IGNORED = 255


class Affinity(NamedTuple):
    """Areas under the curves of one image.

    Attributes:
        anchors: (A,) int64, patches that are compared, row-major numbers.
        anchor_auc: (A,) float64.
        objects: (O,) int64, their ids.
        object_auc: (O,) float64, means over the patches of each.
        pooled: Area under one curve of all pairs of which at least one patch lies in an object; NaN
            where these are all of one kind.
        affinity: (N, N) float64 cosines.
    """

    anchors: Int64[np.ndarray, ' a']
    anchor_auc: Float[np.ndarray, ' a']
    objects: Int64[np.ndarray, ' o']
    object_auc: Float[np.ndarray, ' o']
    pooled: float
    affinity: Float[np.ndarray, 'n n']


def patch_labels(
    instances: Int[np.ndarray, 'H W'] | Shaped[np.ndarray, 'H W'],
    grid: Sequence[int],
    *,
    min_share: float = 0.5,
    ignore: int = _IGNORED,
    image_size: Sequence[float] | None = None,
    input_size: Sequence[float] | None = None,
) -> Int64[np.ndarray, 'h w']:
    """The object that covers a patch.

    Args:
        instances: (H, W) ids of objects by pixel, 0 background, ``ignore`` none of them. Of any
            resolution; a pixel belongs to the patch that its centre lies in.
        grid: (h, w) patches.
        min_share: Share of a patch's pixels that an object covers at least, in (0, 1].
        ignore: Id of pixels that are not judged.
        image_size: (height, width) of the image in the input, where that is padded.
        input_size: (height, width) of the padded input.

    Returns:
        (h, w) int64: an id, of several with the same share the lowest; 0 background; ``ignore``
        where that covers ``min_share`` and no object does, and where there is no pixel at all.

    Raises:
        ValueError: If ``min_share`` is not as said or an id is negative.
    """
    instances = np.asarray(instances)
    if not 0 < min_share <= 1:
        raise ValueError(f'min_share={min_share} must be above 0 and at most 1')
    if instances.size and instances.min() < 0:
        raise ValueError(f'ids of objects are from 1 on, 0 is background; got {instances.min()}')
    rows, columns = (
        ((np.arange(pixels) + 0.5) * (inside / whole) * cells / pixels).astype(np.int64)
        for pixels, cells, inside, whole in zip(
            instances.shape, grid, image_size or (1, 1), input_size or (1, 1), strict=True
        )
    )
    cell = rows[:, None] * grid[1] + columns[None]  # (H, W)
    ids, place = np.unique(instances, return_inverse=True)
    count = grid[0] * grid[1]
    pixels = np.bincount(cell.ravel() * len(ids) + place.ravel(), minlength=count * len(ids))
    pixels = pixels.reshape(count, len(ids))
    enough = pixels >= np.maximum(min_share * pixels.sum(axis=1, keepdims=True), 1)
    labels = np.zeros(count, np.int64)
    labels[pixels.sum(axis=1) == 0] = ignore
    labels[enough[:, ids == ignore].any(axis=1)] = ignore
    objects = (ids != 0) & (ids != ignore)
    covered = np.where(enough & objects, pixels, 0)
    if covered.size:
        inside = covered.any(axis=1)
        labels[inside] = ids[covered.argmax(axis=1)[inside]]
    return labels.reshape(tuple(grid))


def patch_affinity(
    features: Float[Tensor, 'c h w'] | Float[np.ndarray, 'c h w'],
    labels: Int[np.ndarray, 'rows columns'],
    *,
    ignore: int = _IGNORED,
) -> Affinity:
    """Areas under the curves of the patches of objects.

    Args:
        features: (C, h, w), of any length.
        labels: (h, w) as :func:`patch_labels` gives them. An object needs two patches, and a patch
            outside of it that is not ignored.
        ignore: Label of patches that take no part.

    Raises:
        ValueError: If the shapes differ.
    """
    cells = torch.as_tensor(features).double().flatten(1)  # (C, h*w)
    flat = np.asarray(labels).reshape(-1)
    if cells.shape[1] != len(flat) or tuple(features.shape[1:]) != np.shape(labels):
        raise ValueError(
            f'features {tuple(features.shape)} and labels {np.shape(labels)} are not of one grid'
        )
    unit = F.normalize(cells, dim=0)
    affinity = (unit.T @ unit).numpy()
    used = np.flatnonzero(flat != ignore)
    own, cosines = flat[used], affinity[np.ix_(used, used)]
    same = own[:, None] == own[None]
    others = ~np.eye(len(used), dtype=bool)
    with_both = ((same & others).any(axis=1)) & (~same).any(axis=1) & (own > 0)
    rows = np.flatnonzero(with_both)
    auc = np.array([_area(cosines[row][others[row]], same[row][others[row]]) for row in rows])
    objects, which = np.unique(own[rows], return_inverse=True)
    sums = np.bincount(which, weights=auc, minlength=len(objects))
    means = sums / np.maximum(np.bincount(which, minlength=len(objects)), 1)
    first, second = np.triu_indices(len(used), k=1)
    judged = (own[first] > 0) | (own[second] > 0)
    first, second = first[judged], second[judged]
    pooled = _area(cosines[first, second], same[first, second])
    return Affinity(used[rows], auc, objects.astype(np.int64), means, pooled, affinity)


def _area(scores: Float[np.ndarray, ' n'], positive: Bool[np.ndarray, ' n']) -> float:
    """Area under the ROC curve by ranks, equal scores half; NaN without both kinds."""
    hits = int(positive.sum())
    misses = len(positive) - hits
    if not hits or not misses:
        return float('nan')
    ranks = rankdata(scores)
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * misses))


# By place: sums over objects and over patches, their numbers, and the pooled area of the image.
_Item = dict[str, tuple[float, int, float, int, float]]


@METRICS.register_module()
class PatchAffinity(GatheredMetric):
    """Area under the ROC curve of "is it the same object" over cosines of patches.

    Reads of every sample ``patch_tokens`` of :class:`FeatureExtractor` with ``tokens`` and
    ``gt_instance_map`` of :class:`InstanceMap`; images without either are passed over.

    Reports by place ``auc`` (mean over objects), ``auc_anchors`` (over patches), ``auc_pooled``
    (one curve an image, mean over images), and ``objects`` and ``images``, their numbers; with
    ``bootstrap`` also ``auc_low`` and ``auc_high``, images drawn anew. All in [0, 1].

    Args:
        places: Places of the network, see :mod:`mmdssl.evaluation.tokens`.
        min_share: Share of a patch that its object covers at least.
        ignore: Value of the map that is not judged.
        tag: Only images of this part of a :class:`TaggedConcat`; None: all.
        bootstrap: Sets of images drawn for the interval, 0 for none.
        confidence: Of the interval.
        seed: Of these draws.
        prefix: Of the reported names.

    Raises:
        ValueError: On evaluation, if no object has two patches.
    """

    default_prefix = 'affinity'

    def __init__(
        self,
        *,
        places: Sequence[str] = ('last',),
        min_share: float = 0.5,
        ignore: int = _IGNORED,
        tag: str | None = None,
        bootstrap: int = 0,
        confidence: float = 0.95,
        seed: int = 0,
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix=prefix)
        self.places = tuple(places)
        self.min_share, self.ignore = min_share, ignore
        self.tag = tag
        self.bootstrap, self.confidence, self.seed = bootstrap, confidence, seed

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Judge image by image; one item each."""
        for sample in data_samples:
            tokens, instances = sample.get('patch_tokens'), sample.get('gt_instance_map')
            item: _Item = {}
            wanted = self.tag in (None, sample.get('tag'))
            if wanted and tokens is not None and instances is not None:
                for place in self.places:
                    item[place] = self._judge(token_of(tokens, place, self), instances, sample)
            self.results.append(item)

    def compute_metrics(self, results: list[_Item]) -> dict[str, float]:
        """Means over objects, patches and images; on the main process only."""
        numbers: dict[str, float] = {}
        for place in self.places:
            rows = np.array([item[place] for item in results if item]).reshape(-1, 5)
            sums, objects, by_anchor, anchors, pooled = rows.T
            if not objects.sum():
                raise ValueError(
                    f'PatchAffinity: none of {len(rows)} images with a map of objects has one of '
                    'two patches or more: use larger images, or check the annotations'
                )
            numbers[f'{place}/auc'] = float(sums.sum() / objects.sum())
            numbers[f'{place}/auc_anchors'] = float(by_anchor.sum() / anchors.sum())
            numbers[f'{place}/auc_pooled'] = float(np.nanmean(pooled))
            if self.bootstrap:
                ends = ratio_interval(
                    sums,
                    objects.astype(np.int64),
                    samples=self.bootstrap,
                    seed=self.seed,
                    confidence=self.confidence,
                )
                numbers[f'{place}/auc_low'], numbers[f'{place}/auc_high'] = ends
            numbers[f'{place}/objects'] = int(objects.sum())
            numbers[f'{place}/images'] = int((objects > 0).sum())
        return numbers

    def _judge(
        self, features: Float[Tensor, 'c h w'], instances: Any, sample: Mapping[str, Any]
    ) -> tuple[float, int, float, int, float]:
        padded = sample.get('batch_input_shape') and sample.get('img_shape')
        labels = patch_labels(
            np.asarray(instances),
            features.shape[-2:],
            min_share=self.min_share,
            ignore=self.ignore,
            image_size=sample['img_shape'] if padded else None,
            input_size=sample['batch_input_shape'] if padded else None,
        )
        found = patch_affinity(features, labels, ignore=self.ignore)
        return (
            float(found.object_auc.sum()),
            len(found.objects),
            float(found.anchor_auc.sum()),
            len(found.anchors),
            found.pooled,
        )

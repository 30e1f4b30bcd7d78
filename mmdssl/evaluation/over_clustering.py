"""Over-clustering as a metric of a data set with label maps (Leopart, CVPR 2022).

:mod:`mmdssl.evaluation.segmentation` has the rule; this gathers what it needs.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Integer

from mmdssl.evaluation.gathering import GatheredMetric
from mmdssl.evaluation.patch_clusters import Start
from mmdssl.evaluation.segmentation import Match, overclustering
from mmdssl.registry import METRICS

__all__ = ['OverClustering']

# One item per image: patch features (h, w, C) float32 and the map (H, W) uint8.
_Item = tuple[Float[np.ndarray, '_ _ _'], Integer[np.ndarray, '_ _']]


@METRICS.register_module()
class OverClustering(GatheredMetric):
    """mIoU of clusters of patch features, each named by a class; K far above the classes.

    Reads of every sample ``patch_features`` (C, h, w), which :class:`FeatureExtractor` adds, and
    ``gt_seg_map`` (H, W), values outside the classes ignored. All samples have one size. The
    classes are those of the data set.

    Reports ``miou_<rule>`` in percent for every rule in ``match``, mean over seeds, its deviation
    ``miou_<rule>_std``, and ``num_classes``. A class without a pixel counts 0, so scores of a few
    images compare with each other only.

    All features are held at once, and once: VOC val at 448 pixels takes 1.7 GB for a ViT-S/16, COCO
    val 6 GB; what is clustered adds ``4 * pca_dim`` bytes a patch.

    Args:
        num_clusters: K; published: 500.
        match: Rules, one or several, see :mod:`mmdssl.evaluation.segmentation`.
        pca_dim: Dimensions of the features that are clustered.
        start: How k-means starts, 'random' or 'k-means++', see
            :mod:`mmdssl.evaluation.patch_clusters`; published: random.
        points_per_cluster: Patches that k-means learns from, times K; published: 256; None: all.
        iterations: Most rounds of k-means.
        restarts: Runs of k-means per seed, of which the tightest is kept.
        seeds: One clustering each.
        prefix: Of the reported names.

    Raises:
        ValueError: On evaluation, if samples lack features or a map, or their number or shapes do
            not fit.
        ImportError: On evaluation, without scikit-learn.
    """

    default_prefix = 'overclustering'

    def __init__(
        self,
        *,
        num_clusters: int = 500,
        match: Match | Sequence[Match] = 'precision',
        pca_dim: int = 50,
        start: Start = 'random',
        points_per_cluster: int | None = 256,
        iterations: int = 100,
        restarts: int = 5,
        seeds: Sequence[int] = (0, 1, 2, 3, 4),
        prefix: str | None = None,
    ) -> None:
        super().__init__(prefix=prefix)
        self.settings: dict[str, Any] = dict(
            num_clusters=num_clusters,
            match=match,
            pca_dim=pca_dim,
            start=start,
            points_per_cluster=points_per_cluster,
            iterations=iterations,
            restarts=restarts,
            seeds=tuple(seeds),
        )

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep features and maps, one item an image."""
        for sample in data_samples:
            try:
                features, labels = sample['patch_features'], sample['gt_seg_map']
            except KeyError as error:
                raise ValueError(
                    f'OverClustering reads samples packed by PackSemantic with the features of '
                    f'FeatureExtractor; this sample has no {error}'
                ) from error
            cells = features.detach().float().cpu().permute(1, 2, 0)  # (C, h, w) -> (h, w, C)
            self.results.append((cells.numpy(), labels.cpu().numpy()))

    def compute_metrics(self, results: list[_Item]) -> dict[str, float]:
        """Cluster, match, score; on the main process only."""
        if not results:
            raise ValueError('OverClustering got no images: the data set is empty')
        for side, what in enumerate(('feature maps', 'label maps')):
            shapes = {item[side].shape for item in results}
            if len(shapes) > 1:
                raise ValueError(
                    f'the {what} differ in size ({", ".join(map(str, sorted(shapes)))}): bring all '
                    'images and maps to one size with ResizeWithMap'
                )
        classes = (self.dataset_meta or {}).get('classes')
        if not classes:
            raise ValueError(
                'OverClustering needs the classes of the data set: use SemanticFolder or '
                'CocoSemantic, or give the data set metainfo with classes'
            )
        scores = overclustering(
            [features for features, _ in results],
            [labels for _, labels in results],
            num_classes=len(classes),
            **self.settings,
        )
        return scores | dict(num_classes=len(classes))

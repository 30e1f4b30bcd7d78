"""Over-clustering: do clusters of frozen patch features name semantic classes? (Leopart, CVPR 2022)

Patch features of a labelled set are standardised, reduced by PCA and clustered into K groups,
many more than there are classes. Each cluster is given a class by what it covers, and the maps so
made are scored by mIoU over the whole set. The rule that gives classes:

* ``'precision'``: the class that most of the cluster is; several clusters may share a class.
  What Leopart's code does for K=500, and the default.
* ``'iou'``: the same by intersection over union of cluster and class.
* ``'hungarian'``: one cluster per class, the best total IoU; all other clusters are class 0. What
  "Mind Your Augmentation" (ICLR 2024), App. F, says in words, and what Leopart does only where K is
  the number of classes: with many more clusters than classes it scores but a few of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import linear_sum_assignment

__all__ = [
    'Match',
    'MatchedScore',
    'cluster_patches',
    'confusion',
    'match_clusters',
    'overclustering',
]

Match = Literal['precision', 'iou', 'hungarian']
_MATCHES: tuple[Match, ...] = ('precision', 'iou', 'hungarian')


@dataclass(frozen=True)
class MatchedScore:
    """Clusters with their classes, scored.

    Attributes:
        miou: Mean IoU over all classes, 0..1; a class without a pixel and a cluster counts 0.
        iou: (classes,) float64.
        cluster_to_class: (clusters,) int64.
        true_positives: (classes,) int64 pixels.
        false_positives: (classes,) int64 pixels.
        false_negatives: (classes,) int64 pixels.
    """

    miou: float
    iou: np.ndarray
    cluster_to_class: np.ndarray
    true_positives: np.ndarray
    false_positives: np.ndarray
    false_negatives: np.ndarray


def confusion(
    labels: np.ndarray, clusters: np.ndarray, *, num_classes: int, num_clusters: int
) -> np.ndarray:
    """Pixels by class and cluster.

    Args:
        labels: (P,) int, classes; those outside 0 .. ``num_classes - 1`` (255) are passed over.
        clusters: (P,) int, 0 .. ``num_clusters - 1``.
        num_classes: Number of classes.
        num_clusters: Number of clusters.

    Returns:
        (num_classes, num_clusters) int64.

    Raises:
        ValueError: If shapes differ or a cluster is out of range.
    """
    labels, clusters = np.asarray(labels).ravel(), np.asarray(clusters).ravel()
    if labels.shape != clusters.shape:
        raise ValueError(
            f'{len(labels)} labels for {len(clusters)} clusters: give one each a pixel'
        )
    valid = (labels >= 0) & (labels < num_classes)
    labels, clusters = labels[valid].astype(np.int64), clusters[valid].astype(np.int64)
    if len(clusters) and not (clusters.min() >= 0 and clusters.max() < num_clusters):
        raise ValueError(
            f'clusters are from {clusters.min()} to {clusters.max()}, but num_clusters is '
            f'{num_clusters}'
        )
    counts = np.bincount(labels * num_clusters + clusters, minlength=num_classes * num_clusters)
    return counts.reshape(num_classes, num_clusters)


def match_clusters(counts: np.ndarray, *, match: Match = 'precision') -> MatchedScore:
    """Give every cluster a class and score the result.

    Args:
        counts: (classes, clusters) pixels, see :func:`confusion`; may be summed over images.
        match: The rule, see the module docstring. Of equal classes the lowest wins.

    Raises:
        ValueError: For an unknown rule.
    """
    if match not in _MATCHES:
        raise ValueError(f'match is {match!r}, choose one of {", ".join(map(repr, _MATCHES))}')
    of_class, of_cluster = counts.sum(axis=1), counts.sum(axis=0)
    if match == 'precision':
        score = counts / np.maximum(of_cluster, 1)
    else:
        score = counts / np.maximum(of_class[:, None] + of_cluster - counts, 1)
    if match == 'hungarian':
        assigned = np.zeros(counts.shape[1], np.int64)
        classes, clusters = linear_sum_assignment(-score)
        assigned[clusters] = classes
    else:
        assigned = score.argmax(axis=0)
    # Pixels by true and by given class.
    given = np.zeros((len(counts), len(counts)), np.int64)
    np.add.at(given.T, assigned, counts.T)
    hits = np.diagonal(given).copy()
    false_positives, false_negatives = given.sum(axis=0) - hits, of_class - hits
    iou = hits / np.maximum(hits + false_positives + false_negatives, 1)
    return MatchedScore(float(iou.mean()), iou, assigned, hits, false_positives, false_negatives)


def cluster_patches(
    features: np.ndarray,
    *,
    num_clusters: int,
    pca_dim: int = 50,
    iterations: int = 100,
    restarts: int = 5,
    seed: int = 0,
) -> np.ndarray:
    """Standardise, reduce by PCA, k-means.

    Args:
        features: (P, C) float patch features of all images.
        num_clusters: K.
        pca_dim: Dimensions that are kept; all where there are fewer.
        iterations: Most rounds of k-means.
        restarts: Runs of k-means of which the tightest is kept.
        seed: Of PCA and k-means.

    Returns:
        (P,) int64 clusters.

    Raises:
        ValueError: If there are fewer patches than clusters, or a feature is not finite.
        ImportError: Without scikit-learn.
    """
    try:
        from sklearn.cluster import KMeans
        from sklearn.decomposition import PCA
    except ImportError as error:
        raise ImportError(
            "over-clustering needs scikit-learn: pip install 'mmdssl[pretrain]'"
        ) from error
    if len(features) < num_clusters or num_clusters < 1:
        raise ValueError(
            f'{num_clusters} clusters of {len(features)} patches: give more images or a smaller, '
            'positive num_clusters'
        )
    if not np.isfinite(features).all():
        raise ValueError('patch features hold NaN or infinity: the network has diverged')
    spread = features.std(axis=0)
    scaled = (features - features.mean(axis=0)) / np.where(spread > 0, spread, 1)
    if pca_dim < min(scaled.shape):
        scaled = PCA(pca_dim, random_state=seed).fit_transform(scaled)
    means = KMeans(num_clusters, max_iter=iterations, n_init=restarts, random_state=seed)
    return means.fit_predict(scaled).astype(np.int64)


def overclustering(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    num_classes: int,
    num_clusters: int = 500,
    match: Match | Sequence[Match] = 'precision',
    pca_dim: int = 50,
    iterations: int = 100,
    restarts: int = 5,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
) -> dict[str, float]:
    """mIoU of over-clustering, mean over seeds.

    Args:
        features: (N, h, w, C) float patch features of N images.
        labels: (N, H, W) int class maps, H and W free (published: 100 x 100, made with the nearest
            pixel); values outside 0 .. ``num_classes - 1`` are ignored. Clusters are brought to
            H x W by the nearest patch.
        num_classes: Number of classes.
        num_clusters: K.
        match: Rules, one or several.
        pca_dim: See :func:`cluster_patches`, as for the next two.
        iterations: Most rounds of k-means.
        restarts: Runs of k-means per seed.
        seeds: One clustering each; the published protocol averages five.

    Returns:
        ``miou_<rule>`` in percent for every rule, and ``miou_<rule>_std`` (population) over the
        seeds.

    Raises:
        ValueError: If shapes or settings do not fit.
        ImportError: Without scikit-learn.
    """
    rules: Sequence[Match] = (match,) if isinstance(match, str) else tuple(match)
    if not rules or not seeds:
        raise ValueError(f'match={match!r} and seeds={seeds!r}: give at least one of each')
    if features.ndim != 4 or labels.ndim != 3 or len(features) != len(labels):
        raise ValueError(
            f'features {features.shape} and labels {labels.shape}: give (N, h, w, C) and (N, H, W)'
        )
    count, height, width, channels = features.shape
    # Pixel centres fall into patches.
    rows = (np.arange(labels.shape[1]) + 0.5) * height // labels.shape[1]
    columns = (np.arange(labels.shape[2]) + 0.5) * width // labels.shape[2]
    place = np.ix_(np.arange(count), rows.astype(np.int64), columns.astype(np.int64))
    flat = features.reshape(-1, channels)
    found: dict[str, list[float]] = {rule: [] for rule in rules}
    for seed in seeds:
        clusters = cluster_patches(
            flat,
            num_clusters=num_clusters,
            pca_dim=pca_dim,
            iterations=iterations,
            restarts=restarts,
            seed=seed,
        )
        maps = clusters.reshape(count, height, width)[place]
        counts = confusion(labels, maps, num_classes=num_classes, num_clusters=num_clusters)
        for rule in rules:
            found[rule].append(100 * match_clusters(counts, match=rule).miou)
    scores = {f'miou_{rule}': float(np.mean(values)) for rule, values in found.items()}
    scores |= {f'miou_{rule}_std': float(np.std(values)) for rule, values in found.items()}
    return scores

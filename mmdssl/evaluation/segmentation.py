"""Over-clustering: do clusters of frozen patch features name semantic classes? (Leopart, CVPR 2022)

Patch features of a labelled set are clustered into K groups, many more than there are classes
(:mod:`mmdssl.evaluation.patch_clusters`). Each cluster is given a class by what it covers, and the
maps so made are scored by mIoU over the whole set. The rule that gives classes:

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
from jaxtyping import Float, Float64, Int64, Integer
from scipy.optimize import linear_sum_assignment

from mmdssl.evaluation.patch_clusters import (
    Start,
    cluster_patches,
    cluster_points,
    reduce_patches,
)

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
    iou: Float64[np.ndarray, ' c']
    cluster_to_class: Int64[np.ndarray, ' k']
    true_positives: Int64[np.ndarray, ' c']
    false_positives: Int64[np.ndarray, ' c']
    false_negatives: Int64[np.ndarray, ' c']


def confusion(
    labels: Integer[np.ndarray, '...'],
    clusters: Integer[np.ndarray, '...'],
    *,
    num_classes: int,
    num_clusters: int,
) -> Int64[np.ndarray, '{num_classes} {num_clusters}']:
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


def match_clusters(
    counts: Integer[np.ndarray, 'c k'], *, match: Match = 'precision'
) -> MatchedScore:
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


def overclustering(
    features: Float[np.ndarray, '...'] | Sequence[Float[np.ndarray, '...']],
    labels: Integer[np.ndarray, '...'] | Sequence[Integer[np.ndarray, '...']],
    *,
    num_classes: int,
    num_clusters: int = 500,
    match: Match | Sequence[Match] = 'precision',
    pca_dim: int = 50,
    start: Start = 'random',
    points_per_cluster: int | None = 256,
    iterations: int = 100,
    restarts: int = 5,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
) -> dict[str, float]:
    """mIoU of over-clustering, mean over seeds.

    Args:
        features: (N, h, w, C) float patch features of N images, or N times (h, w, C), which are
            not put together: beside them lie only their ``pca_dim`` components.
        labels: (N, H, W) int class maps, H and W free (published: 100 x 100, made with the nearest
            pixel); values outside 0 .. ``num_classes - 1`` are ignored. Clusters are brought to
            H x W by the nearest patch.
        num_classes: Number of classes.
        num_clusters: K.
        match: Rules, one or several.
        pca_dim: Dimensions of the features that are clustered.
        start: See :func:`cluster_points`, as for the next three.
        points_per_cluster: Patches that k-means learns from, times K; None: all.
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
    shapes, sizes = ({np.shape(one) for one in side} for side in (features, labels))
    fit = [len(shape) == dims for found, dims in ((shapes, 3), (sizes, 2)) for shape in found]
    if len(shapes) != 1 or len(sizes) != 1 or not all(fit) or len(features) != len(labels):
        raise ValueError(
            f'{len(features)} features {_listed(shapes)}, {len(labels)} labels {_listed(sizes)}: '
            'give (N, h, w, C) and (N, H, W)'
        )
    height, width, channels = shapes.pop()
    rows, columns = sizes.pop()
    # Pixel centres fall into patches.
    place = np.ix_(
        ((np.arange(rows) + 0.5) * height // rows).astype(np.int64),
        ((np.arange(columns) + 0.5) * width // columns).astype(np.int64),
    )
    points = reduce_patches([one.reshape(-1, channels) for one in features], pca_dim=pca_dim)
    found: dict[str, list[float]] = {rule: [] for rule in rules}
    for seed in seeds:
        clusters = cluster_points(
            points,
            num_clusters=num_clusters,
            start=start,
            points_per_cluster=points_per_cluster,
            iterations=iterations,
            restarts=restarts,
            seed=seed,
        ).reshape(-1, height, width)
        counts = np.zeros((num_classes, num_clusters), np.int64)
        for own, map_ in zip(clusters, labels, strict=True):
            counts += confusion(
                map_, own[place], num_classes=num_classes, num_clusters=num_clusters
            )
        for rule in rules:
            found[rule].append(100 * match_clusters(counts, match=rule).miou)
    scores = {f'miou_{rule}': float(np.mean(values)) for rule, values in found.items()}
    scores |= {f'miou_{rule}_std': float(np.std(values)) for rule, values in found.items()}
    return scores


def _listed(shapes: set[tuple[int, ...]]) -> str:
    return ', '.join(map(str, sorted(shapes))) or '()'

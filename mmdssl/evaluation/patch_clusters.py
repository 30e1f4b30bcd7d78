"""Clusters of patch features: standardised, reduced by PCA, k-means (Leopart, CVPR 2022).

Two ways to run k-means, with the same rounds:

* ``start='random', points_per_cluster=256``, the default: what the published numbers were made
  with, faiss's k-means with its defaults. It learns from at most 256 random patches a cluster,
  starts each time from K random ones of them, and then every patch goes to its nearest centre.
* ``start='k-means++', points_per_cluster=None``: starting points far from each other, all patches.
  Tighter clusters, at a cost that grows with the data.

faiss is not needed. What differs from it: an empty cluster starts anew at the patch farthest from
its centre (faiss splits a large cluster), rounds end where nothing changes any more, and the PCA is
that of all patches (faiss: of at most 1000 a dimension).
"""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Float32, Int64

__all__ = ['Start', 'cluster_patches', 'cluster_points', 'reduce_patches']

Start = Literal['random', 'k-means++']

_ROWS = 2**14  # of a block


def cluster_patches(
    features: Float[np.ndarray, 'p c'] | Sequence[Float[np.ndarray, '_ c']],
    *,
    num_clusters: int,
    pca_dim: int = 50,
    start: Start = 'random',
    points_per_cluster: int | None = 256,
    iterations: int = 100,
    restarts: int = 5,
    seed: int = 0,
) -> Int64[np.ndarray, ' p2']:
    """Standardise, reduce by PCA, k-means.

    Args:
        features: (P, C) float patch features of all images, or blocks (p_i, C) of them.
        num_clusters: K.
        pca_dim: See :func:`reduce_patches`.
        start: See :func:`cluster_points`, as for the rest.
        points_per_cluster: Patches that k-means learns from, times K; None: all.
        iterations: Most rounds of k-means.
        restarts: Runs of k-means of which the tightest is kept.
        seed: Of all draws.

    Returns:
        (P,) int64 clusters.

    Raises:
        ValueError: If there are fewer patches than clusters, a feature is not finite, or a setting
            is none of its choices.
        ImportError: Without scikit-learn.
    """
    blocks: Sequence[np.ndarray]
    if isinstance(features, np.ndarray):
        blocks = [features[row : row + _ROWS] for row in range(0, len(features), _ROWS)]
    else:
        blocks = features
    return cluster_points(
        reduce_patches(blocks, pca_dim=pca_dim),
        num_clusters=num_clusters,
        start=start,
        points_per_cluster=points_per_cluster,
        iterations=iterations,
        restarts=restarts,
        seed=seed,
    )


def reduce_patches(
    blocks: Sequence[Float[np.ndarray, '_ c']], *, pca_dim: int = 50
) -> Float32[np.ndarray, 'p d']:
    """Principal components of standardised features, block by block.

    Args:
        blocks: (p_i, C) float features, which are only read.
        pca_dim: Dimensions that are kept; all, in their own axes, where there are no more.

    Returns:
        (sum p_i, ``pca_dim``) float32.

    Raises:
        ValueError: If there are no features, or one is not finite.
    """
    count = sum(map(len, blocks))
    if count == 0:
        raise ValueError('there are no patch features: give at least one image')
    if not all(np.isfinite(block).all() for block in blocks):
        raise ValueError('patch features hold NaN or infinity: the network has diverged')
    mean = sum(block.sum(axis=0, dtype=np.float64) for block in blocks) / count  # (C,)
    covariance = np.zeros((len(mean), len(mean)))
    for block in blocks:
        centred = block - mean
        covariance += centred.T @ centred / count
    spread = np.sqrt(np.diagonal(covariance))
    scale = 1 / np.where(spread > 0, spread, 1)
    axes = np.diag(scale)  # (C, d)
    if pca_dim < min(count, len(mean)):
        _, vectors = np.linalg.eigh(covariance * np.outer(scale, scale))  # ascending
        axes = axes @ vectors[:, : -pca_dim - 1 : -1]
    points = np.empty((count, axes.shape[1]), np.float32)
    end = 0
    for block in blocks:
        points[end : end + len(block)] = (block - mean) @ axes
        end += len(block)
    return points


def cluster_points(
    points: Float[np.ndarray, 'p d'],
    *,
    num_clusters: int,
    start: Start = 'random',
    points_per_cluster: int | None = 256,
    iterations: int = 100,
    restarts: int = 5,
    seed: int = 0,
) -> Int64[np.ndarray, ' p']:
    """k-means.

    Args:
        points: (P, d) float32.
        num_clusters: K.
        start: ``'random'``: K points at random; ``'k-means++'``: K points far from each other.
        points_per_cluster: k-means learns from at most so many random points times K, the same for
            all restarts; None: all.
        iterations: Most rounds.
        restarts: Runs, of which the tightest is kept.
        seed: Of all draws.

    Returns:
        (P,) int64 clusters.

    Raises:
        ValueError: If there are fewer points than clusters, or a setting is none of its choices.
        ImportError: Without scikit-learn.
    """
    try:
        from sklearn.cluster import KMeans
    except ImportError as error:
        raise ImportError(
            "over-clustering needs scikit-learn: pip install 'mmdssl[pretrain]'"
        ) from error
    if start not in get_args(Start):
        raise ValueError(f"start is {start!r}, choose 'random' or 'k-means++'")
    if points_per_cluster is not None and points_per_cluster < 1:
        raise ValueError(f'points_per_cluster is {points_per_cluster}: give at least 1, or None')
    if len(points) < num_clusters or num_clusters < 1:
        raise ValueError(
            f'{num_clusters} clusters of {len(points)} patches: give more images or a smaller, '
            'positive num_clusters'
        )
    learned = points
    if points_per_cluster is not None and len(points) > points_per_cluster * num_clusters:
        rows = np.random.default_rng(seed).choice(
            len(points), points_per_cluster * num_clusters, replace=False
        )
        learned = points[rows]
    means = KMeans(
        num_clusters,
        init=start,
        max_iter=iterations,
        n_init=restarts,
        random_state=seed,
        **({'tol': 0.0} if start == 'random' else {}),  # faiss runs all rounds
    )
    means.fit(learned)
    return means.predict(points).astype(np.int64)

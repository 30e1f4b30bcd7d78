"""Clusters of patches: the reduction against scikit-learn's, k-means against its own definition."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from mmdssl.evaluation.patch_clusters import cluster_patches, cluster_points, reduce_patches

FAR = dict(start='k-means++', points_per_cluster=None)


def patches(count: int = 600, channels: int = 20, seed: int = 0) -> np.ndarray:
    """Correlated features of unlike scales far from zero, one of them constant."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(count, channels)) @ rng.normal(size=(channels, channels))
    features = mixed * np.logspace(-2, 2, channels) + 30
    features[:, 3] = 5
    return features.astype(np.float32)


def same_partition(one: np.ndarray, two: np.ndarray) -> bool:
    pairs = set(zip(one.tolist(), two.tolist(), strict=True))
    return len(pairs) == len(set(one)) == len(set(two))


def test_reduction_is_the_pca_of_standardised_features_in_blocks_of_any_size():
    features = patches()
    spread = features.std(axis=0, dtype=np.float64)
    scaled = (features - features.mean(axis=0, dtype=np.float64)) / np.where(spread > 0, spread, 1)
    want = PCA(6, svd_solver='full').fit_transform(scaled)
    for blocks in ([features], np.split(features, [0, 1, 200, 599])):
        got = reduce_patches(blocks, pca_dim=6)
        assert got.dtype == np.float32
        signs = np.sign((got * want).sum(axis=0))  # of an axis, free
        np.testing.assert_allclose(got * signs, want, atol=2e-4)
    kept = reduce_patches([features], pca_dim=20)
    np.testing.assert_allclose(kept, scaled, atol=1e-4)


def test_clusters_are_those_of_the_components_asked_for():
    points = patches()
    settings = dict(num_clusters=6, start='random', iterations=20, restarts=2, seed=1)
    for dim in (2, 5):
        wanted = cluster_points(reduce_patches([points], pca_dim=dim), **settings)
        assert np.array_equal(cluster_patches(points, pca_dim=dim, **settings), wanted)
    assert not same_partition(wanted, cluster_patches(points, pca_dim=2, **settings))


def test_what_cannot_be_reduced_is_named():
    features = patches()
    features[7, 2] = np.inf
    with pytest.raises(ValueError, match='diverged'):
        reduce_patches([features])
    with pytest.raises(ValueError, match='no patch features'):
        reduce_patches([])


def test_scale_of_a_feature_does_not_matter():
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 12, 400)
    flat = (rng.normal(size=(12, 8)) * 10)[kinds] + rng.normal(size=(400, 8)) * 0.01
    for features in (flat, flat * np.logspace(-3, 3, 8)):
        assert same_partition(cluster_patches(features, num_clusters=12, **FAR), kinds)


def test_pca_leaves_clusters_in_a_subspace_alone():
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 4, 200)
    features = np.eye(4)[kinds] @ rng.normal(size=(4, 64)) * 5 + rng.normal(size=(200, 64)) * 0.01
    assert same_partition(cluster_patches(features, num_clusters=4, pca_dim=3, **FAR), kinds)


def lloyd(points: np.ndarray, centres: np.ndarray, rounds: int) -> tuple[np.ndarray, float]:
    """Centres after plain rounds from given points, and their sum of squared distances."""
    for _ in range(rounds):
        distance = ((points[:, None] - centres) ** 2).sum(axis=2)
        nearest = distance.argmin(axis=1)
        centres = np.stack([points[nearest == k].mean(axis=0) for k in range(len(centres))])
    return centres, ((points[:, None] - centres) ** 2).sum(axis=2).min(axis=1).sum()


def test_k_means_learns_from_256_points_a_cluster_and_starts_from_some_of_them(monkeypatch):
    """The published rule: faiss draws a subset once, then K of its points for every restart."""
    points = np.random.default_rng(1).normal(size=(5000, 3)).astype(np.float32)
    seen: list[np.ndarray] = []
    settings: list[dict] = []
    fit = KMeans.fit

    def spy(self, learned, *args, **kwargs):
        seen.append(learned)
        settings.append(self.get_params())
        return fit(self, learned, *args, **kwargs)

    monkeypatch.setattr(KMeans, 'fit', spy)
    clusters = cluster_points(points, num_clusters=4, seed=3)
    assert seen[0].shape == (1024, 3)
    rows = {tuple(row) for row in points.tolist()}
    assert {tuple(row) for row in seen[0].tolist()} <= rows
    assert len({tuple(row) for row in seen[0].tolist()}) == 1024  # none twice
    assert (settings[0]['init'], settings[0]['n_init'], settings[0]['max_iter']) == (
        'random',
        5,
        100,
    )
    assert len(clusters) == 5000  # all are assigned
    again = cluster_points(points, num_clusters=4, seed=3)
    np.testing.assert_array_equal(clusters, again)
    np.testing.assert_array_equal(seen[0], seen[1])
    cluster_points(points, num_clusters=4, seed=4)
    assert not np.array_equal(seen[0], seen[2])
    cluster_points(points[:900], num_clusters=4)
    assert len(seen[3]) == 900  # fewer than 256 a cluster: all
    cluster_points(points, num_clusters=4, **FAR)
    assert len(seen[4]) == 5000
    assert settings[4]['init'] == 'k-means++'


def test_random_starts_run_their_rounds_to_the_fixed_point():
    """Every patch goes to the nearest centre of a solution that plain rounds do not change."""
    points = np.random.default_rng(2).normal(size=(300, 2)).astype(np.float32)
    clusters = cluster_points(points, num_clusters=5, restarts=1, iterations=500)
    centres = np.stack([points[clusters == k].mean(axis=0) for k in range(5)])
    after, _ = lloyd(points, centres, 1)
    np.testing.assert_allclose(after, centres, atol=1e-5)

    # The tightest of five restarts is at least as tight as one.
    def tightness(labels: np.ndarray) -> float:
        means = np.stack([points[labels == k].mean(axis=0) for k in range(5)])
        return float(((points - means[labels]) ** 2).sum())

    best = cluster_points(points, num_clusters=5, restarts=5, iterations=500)
    assert tightness(best) <= tightness(clusters) + 1e-4


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(start='faiss'), "start is 'faiss'"),
        (dict(points_per_cluster=0), 'points_per_cluster is 0'),
        (dict(num_clusters=1000), '1000 clusters of 600 patches'),
        (dict(num_clusters=0), '0 clusters'),
    ],
)
def test_settings_that_cannot_work_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        cluster_patches(patches(), **{'num_clusters': 4, **change})

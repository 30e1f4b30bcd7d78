import numpy as np
import pytest

from mmdssl.evaluation.segmentation import (
    confusion,
    match_clusters,
    overclustering,
)
from tests.golden import Golden

# Finds every tight cluster, which random starts do not.
FAR = dict(start='k-means++', points_per_cluster=None)


@pytest.fixture(scope='module')
def golden(shared) -> Golden:
    return Golden.load(shared('golden/leopart.npz')).sub('oc_')


def golden_counts(golden: Golden) -> np.ndarray:
    return confusion(
        golden['gt'].numpy(),
        golden['pred'].numpy(),
        num_classes=golden.number('n_gt'),
        num_clusters=golden.number('n_pred'),
    )


@pytest.mark.golden
@pytest.mark.parametrize('match', ['precision', 'iou', 'hungarian'])
def test_matching_equals_the_official_one(golden, match):
    got, want = match_clusters(golden_counts(golden), match=match), golden.sub(f'{match}_')
    assert got.miou == pytest.approx(want.number('miou'), abs=1e-12)
    for name, values in (
        ('tp', got.true_positives),
        ('fp', got.false_positives),
        ('fn', got.false_negatives),
    ):
        np.testing.assert_array_equal(values, want[name].numpy(), err_msg=name)
    np.testing.assert_array_equal(
        got.cluster_to_class[golden['pred'].numpy()], want['remapped'].numpy()
    )
    if 'cluster_to_class' in want:
        np.testing.assert_array_equal(got.cluster_to_class, want['cluster_to_class'].numpy())


def test_one_to_one_matching_adds_up_ious():
    """20/35 + 0/10 here, 5/25 + 10/30 crosswise; shares of the sums alone (Dice) say crosswise."""
    found = match_clusters(np.array([[20, 5], [10, 0]]), match='hungarian')
    np.testing.assert_array_equal(found.cluster_to_class, [0, 1])
    assert found.miou == pytest.approx((20 / 35 + 0 / 10) / 2)


def test_ignored_labels_count_nowhere():
    labels, clusters = np.array([0, 0, 1, 255, -1]), np.array([0, 1, 1, 1, 1])
    counts = confusion(labels, clusters, num_classes=2, num_clusters=2)
    np.testing.assert_array_equal(counts, [[1, 1], [0, 1]])


def blobs(per_class: int = 4, images: int = 6, side: int = 4):
    """Maps whose patches belong to tight clusters, ``per_class`` of them a class."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3 * per_class, 8)) * 10
    kinds = rng.integers(0, len(centres), (images, side, side))
    features = centres[kinds] + rng.normal(size=(images, side, side, 8)) * 0.01
    return features.astype(np.float32), kinds // per_class


def test_parts_of_classes_score_fully_unless_one_a_class_counts():
    features, classes = blobs()
    labels = classes.repeat(5, axis=1).repeat(5, axis=2)  # 20 x 20 pixels of 4 x 4 patches
    scores = overclustering(
        features,
        labels,
        num_classes=3,
        num_clusters=12,
        match=('precision', 'iou', 'hungarian'),
        **FAR,
        restarts=3,
        seeds=(0, 1),
    )
    assert scores['miou_precision'] == pytest.approx(100)
    assert scores['miou_hungarian'] < 70
    assert set(scores) == {
        f'miou_{rule}{part}' for rule in ('precision', 'iou', 'hungarian') for part in ('', '_std')
    }


def test_features_that_tell_nothing_score_low():
    _, labels = blobs(images=30)
    noise = np.random.default_rng(1).normal(size=(30, 4, 4, 8)).astype(np.float32)
    scores = overclustering(noise, labels, num_classes=3, num_clusters=6, restarts=1, seeds=(0,))
    assert scores['miou_precision'] < 40


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(num_clusters=1000), '1000 clusters of 96 patches'),
        (dict(match='best'), "match is 'best'"),
        (dict(seeds=()), 'at least one of each'),
    ],
)
def test_settings_that_cannot_work_are_refused(change, message):
    features, labels = blobs()
    settings = dict(num_classes=3, num_clusters=4, restarts=1, seeds=(0,))
    with pytest.raises(ValueError, match=message):
        overclustering(features, labels, **{**settings, **change})


def test_images_one_by_one_are_all_images_together():
    features, labels = blobs()
    settings = dict(num_classes=3, num_clusters=7, restarts=2, seeds=(0, 1))
    together = overclustering(features, labels, **settings)
    listed = list(labels.astype(np.uint8))
    assert overclustering(list(features), listed, **settings) == together
    with pytest.raises(ValueError, match=r'6 features .*, 5 labels'):
        overclustering(features, labels[:5], **settings)


def test_diverged_features_are_refused():
    features, labels = blobs()
    features[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match='diverged'):
        overclustering(features, labels, num_classes=3, num_clusters=4)

"""Over-clustering as a metric: official numbers come through, unusable data are named."""

import inspect

import numpy as np
import pytest
import torch

from mmdssl.evaluation.segmentation import overclustering
from mmdssl.registry import METRICS
from tests.golden import Golden


def evaluate(features, labels, classes, **settings) -> dict[str, float]:
    """Features (N, C, h, w) and maps (N, H, W) through the registered metric."""
    metric = METRICS.build(dict(type='OverClustering', **settings))
    metric.dataset_meta = dict(classes=classes)
    samples = [
        dict(patch_features=one, gt_seg_map=two) for one, two in zip(features, labels, strict=True)
    ]
    metric.process(None, samples)
    return metric.evaluate(len(samples))


@pytest.mark.golden
def test_the_official_scores_come_through_the_metric(shared):
    """Patches that are their cluster's unit vector are clustered as the golden ones are."""
    golden = Golden.load(shared('golden/leopart.npz')).sub('oc_')
    num_clusters, num_classes = golden.number('n_pred'), golden.number('n_gt')
    clusters, labels = golden['pred'].flatten().long(), golden['gt'].flatten()
    images = next(n for n in (2, 3, 5, 1) if len(clusters) % n == 0)
    units = torch.eye(num_clusters)[clusters].T  # (C, P)
    features = units.reshape(num_clusters, images, 1, -1).transpose(0, 1)
    scores = evaluate(
        features,  # images of 1 x P / images patches
        labels.reshape(images, 1, -1),
        [str(i) for i in range(num_classes)],
        num_clusters=num_clusters,
        match=('precision', 'iou', 'hungarian'),
        start='k-means++',  # finds every cluster
        points_per_cluster=None,
        seeds=(0, 1),
    )
    for rule in ('precision', 'iou', 'hungarian'):
        want = 100 * golden.sub(f'{rule}_').number('miou')
        assert scores[f'overclustering/miou_{rule}'] == pytest.approx(want, abs=1e-4)
        assert scores[f'overclustering/miou_{rule}_std'] == pytest.approx(0, abs=1e-4)


def test_ignored_pixels_count_nowhere():
    features = torch.eye(2)[torch.tensor([[0, 1], [0, 1]])].permute(2, 0, 1)[None]  # (1, 2, 2, 2)
    labels = torch.tensor([[[0, 1], [255, 1]]], dtype=torch.uint8)
    scores = evaluate(features, labels, ['a', 'b'], num_clusters=2, seeds=(0,))
    assert scores['overclustering/miou_precision'] == pytest.approx(100)
    assert scores['overclustering/num_classes'] == 2


def test_unusable_samples_are_named():
    metric = METRICS.build(dict(type='OverClustering'))
    with pytest.raises(ValueError, match="this sample has no 'patch_features'"):
        metric.process(None, [dict(gt_seg_map=torch.zeros(2, 2))])
    features, byte = [torch.zeros(3, 2, 2)] * 2, torch.uint8
    with pytest.raises(ValueError, match='label maps differ in size'):
        evaluate(features, [torch.zeros(4, 4, dtype=byte), torch.zeros(5, 4, dtype=byte)], ['a'])
    with pytest.raises(ValueError, match='needs the classes'):
        evaluate(features, [torch.zeros(4, 4, dtype=byte)] * 2, ())
    with pytest.raises(ValueError, match='500 clusters of 8 patches'):
        evaluate(features, torch.zeros(2, 4, 4, dtype=byte), ['a', 'b'])


def test_features_and_maps_need_not_share_a_grid():
    rng = np.random.default_rng(0)
    kinds = torch.from_numpy(rng.integers(0, 3, (4, 5, 6)))
    features = torch.eye(3)[kinds].permute(0, 3, 1, 2)  # (4, 3, 5, 6)
    labels = kinds.repeat_interleave(7, 1).repeat_interleave(3, 2)
    scores = evaluate(features, labels, ['a', 'b', 'c'], num_clusters=3, seeds=(0,))
    assert scores['overclustering/miou_precision'] == pytest.approx(100)


def test_every_setting_reaches_the_protocol(monkeypatch):
    settings = dict(
        num_clusters=7, match=('iou',), pca_dim=3, start='k-means++', points_per_cluster=11,
        iterations=13, restarts=2, seeds=(4, 6),
    )  # fmt: skip
    given: dict = {}

    def protocol(features, labels, **found):
        given.update(found, images=(len(features), len(labels)))
        return {}

    monkeypatch.setattr('mmdssl.evaluation.over_clustering.overclustering', protocol)
    evaluate(torch.zeros(5, 4, 2, 2), torch.zeros(5, 4, 4).long(), ('a', 'b', 'c'), **settings)
    assert given == dict(settings, num_classes=3, images=(5, 5))


def test_defaults_are_the_published_protocol():
    """Leopart: K = 500 of 50 components, 100 rounds, 5 starts, 5 seeds."""
    signature = inspect.signature(overclustering).parameters
    found = {name: signature[name].default for name in (*METRICS_DEFAULTS, 'num_clusters')}
    assert found == dict(METRICS_DEFAULTS, num_clusters=500)
    metric = METRICS.build(dict(type='OverClustering'))
    assert metric.settings == dict(METRICS_DEFAULTS, num_clusters=500)


METRICS_DEFAULTS = dict(
    match='precision', pca_dim=50, start='random', points_per_cluster=256, iterations=100,
    restarts=5, seeds=(0, 1, 2, 3, 4),
)  # fmt: skip

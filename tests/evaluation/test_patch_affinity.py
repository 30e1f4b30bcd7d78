"""Areas under the curves of patches: equal to the golden ones, to pairs counted by hand, bounds."""

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpretrain.structures import DataSample

from mmdssl.evaluation.patch_affinity import patch_affinity, patch_labels
from mmdssl.registry import METRICS, MODELS
from tests.golden import Golden


def evaluate(features, maps, **settings):
    metric = METRICS.build(dict(type='PatchAffinity', **settings))
    samples = [
        dict(patch_tokens=dict(last=one), gt_instance_map=own)
        for one, own in zip(features, maps, strict=True)
    ]
    metric.process(None, samples)
    return {n.removeprefix('affinity/'): v for n, v in metric.evaluate(len(samples)).items()}


@pytest.fixture(scope='module')
def golden(shared):
    return Golden.load(shared('golden3/affinity_auc.npz'))


@pytest.mark.golden
def test_labels_anchors_and_objects_equal_the_golden_ones(golden):
    share, ignore = golden.number('cfg_min_share'), golden.number('cfg_ignore')
    anchors, objects = golden['anchor_image_patch_label'], golden['object_image_label_count']
    features = golden['features'].permute(0, 3, 1, 2)  # (n, h, w, C) -> (n, C, h, w)
    for index, (own, masks) in enumerate(zip(features, golden['instance_masks'], strict=True)):
        grid = tuple(own.shape[1:])
        labels = patch_labels(masks.numpy(), grid, min_share=share, ignore=ignore)
        assert np.array_equal(labels, golden['patch_labels'][index])
        found = patch_affinity(own, labels, ignore=ignore)
        assert np.abs(found.affinity - golden['affinity_f64'][index].numpy()).max() <= 1e-6
        rows = anchors[:, 0] == index
        assert np.array_equal(found.anchors, anchors[rows, 1])
        np.testing.assert_allclose(found.anchor_auc, golden['anchor_auc_f64'][rows], atol=1e-6)
        rows = objects[:, 0] == index
        order = objects[rows, 1].argsort()
        assert np.array_equal(found.objects, objects[rows, 1][order])
        want = golden['object_auc_f64'][rows][order]
        np.testing.assert_allclose(found.object_auc, want, atol=1e-6)
        want = golden['pooled_per_image_f64'][index].item()
        assert found.pooled == pytest.approx(want, abs=1e-6)


@pytest.mark.golden
def test_the_metric_gives_the_golden_means(golden):
    numbers = evaluate(
        golden['features'].permute(0, 3, 1, 2),
        golden['instance_masks'],
        min_share=golden.number('cfg_min_share'),
        ignore=golden.number('cfg_ignore'),
        bootstrap=200,
    )
    objects = golden['object_image_label_count']
    assert numbers['last/objects'] == len(objects)
    assert numbers['last/images'] == len(objects[:, 0].unique())
    for name, key in (('auc', 'mean_over_objects_f64'), ('auc_anchors', 'mean_over_anchors_f64')):
        assert numbers[f'last/{name}'] == pytest.approx(golden.number(key), abs=1e-6)
    pooled = golden['pooled_per_image_f64'].mean().item()
    assert numbers['last/auc_pooled'] == pytest.approx(pooled, abs=1e-6)
    assert numbers['last/auc_low'] < numbers['last/auc'] < numbers['last/auc_high']


def test_an_area_is_the_share_of_pairs_in_order():
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(4, 3, 4, generator=generator)
    features[:, 0, 0] = features[:, 0, 1]  # equal scores count half
    labels = np.array([[1, 1, 2, 2], [1, 0, 255, 2], [0, 0, 0, 0]])
    found = patch_affinity(features, labels)
    unit = torch.nn.functional.normalize(features.double().flatten(1), dim=0)
    cosines = (unit.T @ unit).numpy()
    flat = labels.ravel()
    for anchor, area in zip(found.anchors, found.anchor_auc, strict=True):
        others = [i for i in range(12) if i != anchor and flat[i] != 255]
        same = [cosines[anchor, i] for i in others if flat[i] == flat[anchor]]
        rest = [cosines[anchor, i] for i in others if flat[i] != flat[anchor]]
        wins = np.mean([[(a > b) + (a == b) / 2 for b in rest] for a in same])
        assert area == pytest.approx(wins, abs=1e-12)
    assert flat[found.anchors].min() == 1
    assert 6 not in found.anchors


def test_a_network_that_knows_objects_has_one_and_noise_about_a_half():
    instances = torch.zeros(32, 32, dtype=torch.int32)
    instances[:16, :16], instances[16:, 16:] = 1, 300
    labels = torch.from_numpy(patch_labels(instances.numpy(), (8, 8)))
    known = torch.stack([labels == i for i in (0, 1, 300)]).float()
    assert evaluate([known], [instances])['last/auc'] == 1
    noise = torch.randn(32, 8, 8, generator=torch.Generator().manual_seed(0))
    assert evaluate([noise], [instances])['last/auc'] == pytest.approx(0.5, abs=0.06)


def test_padding_belongs_to_no_object_and_pixels_to_their_patch():
    instances = np.ones((20, 30), np.int32)
    labels = patch_labels(instances, (2, 2), image_size=(20, 30), input_size=(40, 40))
    assert labels.tolist() == [[1, 1], [255, 255]]
    ignored = np.full((4, 4), 255)
    ignored[:2, :2] = [[0, 0], [7, 7]]
    assert patch_labels(ignored, (2, 2)).tolist() == [[7, 255], [255, 255]]
    assert patch_labels(ignored, (2, 2), min_share=0.6).tolist() == [[0, 255], [255, 255]]


def test_bad_input_is_named(tmp_path):
    with pytest.raises(ValueError, match='none of 1 images with a map of objects has one of two'):
        evaluate([torch.randn(3, 2, 2)], [torch.zeros(4, 4)])
    with pytest.raises(ValueError, match='min_share=0 must be above 0'):
        patch_labels(np.zeros((2, 2), int), (1, 1), min_share=0)
    with pytest.raises(ValueError, match='ids of objects are from 1 on'):
        patch_labels(np.full((2, 2), -1), (1, 1))
    with pytest.raises(ValueError, match='are not of one grid'):
        patch_affinity(torch.randn(3, 2, 2), np.zeros((3, 2), int))
    metric = METRICS.build(dict(type='PatchAffinity', places=['keys']))
    sample = dict(patch_tokens=dict(last=torch.randn(3, 2, 2)), gt_instance_map=torch.zeros(4, 4))
    with pytest.raises(ValueError, match="reads the tokens 'keys', and the extractor gives last"):
        metric.process(None, [sample])


def test_it_reads_samples_of_the_extractor():
    model = dict(type='MobileNetV2', widen_factor=0.35)
    extractor = MODELS.build(
        dict(type='FeatureExtractor', backbone=model, tokens=['last', 'prenorm', 'layer3'])
    )
    sample = DataSample(gt_instances=InstanceData(bboxes=torch.tensor([[0.0, 0, 40, 64]])))
    instances = torch.zeros(64, 64, dtype=torch.int32)
    instances[:, :32] = 1
    sample.set_field(instances, 'gt_instance_map', dtype=torch.Tensor)
    images = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    (found,) = extractor.test_step(dict(inputs=images, data_samples=[sample]))
    assert {n: tuple(one.shape) for n, one in found.patch_tokens.items()} == {
        'last': (1280, 2, 2), 'prenorm': (1280, 2, 2), 'layer3': (16, 8, 8),
    }  # fmt: skip
    assert tuple(found.object_features.shape) == (1, 1280)
    metric = METRICS.build(dict(type='PatchAffinity', places=['layer3', 'last']))
    metric.process(None, [found.to_dict()])
    assert set(metric.evaluate(1)) >= {'affinity/layer3/auc', 'affinity/last/auc'}

"""The frozen backbone as a model: normalisation, modes, and one feature per object."""

import pickle

import pytest
import torch
from mmengine.structures import InstanceData
from mmpretrain.structures import DataSample
from torch import nn

from mmdssl.evaluation.features import object_features
from mmdssl.registry import MODELS

BACKBONE = dict(type='MobileNetV2', widen_factor=0.35)


def batch() -> dict:
    generator = torch.Generator().manual_seed(0)
    boxes = [torch.tensor([[0.0, 0, 40, 64], [8, 8, 30, 20]]), torch.zeros(0, 4)]
    samples = [DataSample(gt_instances=InstanceData(bboxes=b)) for b in boxes]
    images = torch.randint(0, 256, (2, 3, 64, 64), generator=generator, dtype=torch.uint8)
    return dict(inputs=images, data_samples=samples)


def test_test_step_normalises_and_adds_one_feature_per_object():
    model = MODELS.build(dict(type='FeatureExtractor', backbone=BACKBONE))
    data = batch()
    mean = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)
    std = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1)
    boxes = [sample.gt_instances.bboxes for sample in data['data_samples']]
    expected = object_features(model.backbone, (data['inputs'].float() - mean) / std, boxes)
    found = [sample.object_features for sample in model.test_step(data)]
    assert [tuple(f.shape) for f in found] == [(2, 1280), (0, 1280)]
    torch.testing.assert_close(torch.cat(found), expected, rtol=1e-4, atol=1e-5)


def test_features_of_an_image_do_not_carry_the_batch_with_them():
    model = MODELS.build(dict(type='FeatureExtractor', backbone=BACKBONE))
    found = model.test_step(batch())[0].object_features
    assert len(pickle.dumps(found)) < 2 * 1280 * 4 + 1000


def test_tensor_mode_gives_the_dense_map():
    model = MODELS.build(dict(type='FeatureExtractor', backbone=BACKBONE))
    assert model(torch.randn(1, 3, 64, 64), mode='tensor').shape == (1, 1280, 2, 2)


def test_settings_reach_the_features():
    seen = []
    for upsample in (True, False):
        torch.manual_seed(0)
        config = dict(type='ResNet', depth=18)
        model = MODELS.build(dict(type='FeatureExtractor', backbone=config, upsample_c4=upsample))
        seen.append(model.test_step(batch())[0].object_features)
    assert not torch.allclose(*seen)


def test_a_given_backbone_is_shared_not_copied():
    backbone = nn.Conv2d(3, 4, 1)
    model = MODELS.build(dict(type='FeatureExtractor', backbone=backbone))
    assert model.backbone is backbone


def test_training_is_refused():
    model = MODELS.build(dict(type='FeatureExtractor', backbone=nn.Conv2d(3, 4, 1)))
    with pytest.raises(ValueError, match='does not train'):
        model(torch.zeros(1, 3, 8, 8), [], mode='loss')

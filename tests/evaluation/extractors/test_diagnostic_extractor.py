"""Views and regions in, one vector per layer, view and region out, as a plain loop gives them."""

import pickle

import pytest
import torch
from mmengine.structures import BaseDataElement
from torch import nn
from torchvision.ops import roi_align

from mmdssl.evaluation.extractors.diagnostic_extractor import DiagnosticExtractor
from mmdssl.evaluation.layers import layer_maps
from mmdssl.models.backbones.dense_vit import DenseViT
from mmdssl.registry import MODELS
from tests.evaluation.toy_backbones import PatchNet

MEAN = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)
STD = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1)


@pytest.fixture
def vit() -> DenseViT:
    torch.manual_seed(0)
    arch = dict(embed_dims=24, num_layers=3, num_heads=3, feedforward_channels=48)
    net = DenseViT(arch=arch, img_size=32, patch_size=8)
    nn.init.normal_(net.mask_token)
    net.train(True)
    return net


def views(count: int, number: int, size: tuple[int, int] = (32, 64)) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (count, number, 3, *size)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def box_samples(count: int, number: int, regions: int) -> list[BaseDataElement]:
    generator = torch.Generator().manual_seed(1)
    corner = torch.rand(count, number, regions, 2, generator=generator) * 20
    boxes = torch.cat([corner, corner + 11], dim=-1)
    return [BaseDataElement(diagnostic_boxes=one) for one in boxes]


def test_boxes_of_every_view_and_layer_equal_a_loop(vit):
    inputs, samples = views(3, 2), box_samples(3, 2, 4)
    layers = ['block0', 'last']
    extractor = DiagnosticExtractor(backbone=vit, layers=layers, max_images=4)
    found = extractor.test_step(dict(inputs=inputs, data_samples=samples))
    assert vit.training
    vit.eval()
    for n, sample in enumerate(found):
        assert list(sample.diagnostic_features) == layers
        for v in range(2):
            image = ((inputs[n, v].float() - MEAN) / STD)[None]
            maps = layer_maps(vit, image, layers)
            for name in layers:
                expected = roi_align(
                    maps[name], [sample.diagnostic_boxes[v]], 7, 1 / 8, aligned=True
                )
                one = sample.diagnostic_features[name][v]
                assert one.shape == (4, 24)
                torch.testing.assert_close(one, expected.mean((2, 3)), rtol=1e-4, atol=1e-5)


def test_weights_average_the_cells_by_covered_area():
    inputs = views(2, 1, (32, 32))
    weights = torch.zeros(2, 1, 1, 32, 32, dtype=torch.bool)
    weights[:, 0, 0, :16, 4:24] = True  # covers cell (0, 0) by 3/4, cell (0, 1) by 1/2
    samples = [BaseDataElement(diagnostic_weights=one) for one in weights]
    net = PatchNet(patch_size=16)
    found = DiagnosticExtractor(backbone=net)(inputs, samples)
    for image, sample in zip(inputs[:, 0], found, strict=True):
        (features,) = net(((image.float() - MEAN) / STD)[None])
        expected = (0.75 * features[0, :, 0, 0] + 0.5 * features[0, :, 0, 1]) / 1.25
        torch.testing.assert_close(sample.diagnostic_features['last'][0, 0], expected)


def test_masked_tokens_equal_the_mask_of_the_backbone(vit):
    inputs, samples = views(2, 1), box_samples(2, 1, 1)
    mask = torch.rand(2, 1, 4, 8, generator=torch.Generator().manual_seed(3)) < 0.5
    for sample, one in zip(samples, mask, strict=True):
        sample.set_data(dict(token_mask=one))
    found = DiagnosticExtractor(backbone=vit)(inputs, samples)
    vit.eval()
    tokens = vit.forward_tokens((inputs[:, 0].float() - MEAN) / STD, mask=mask[:, 0])
    maps = tokens[:, 1:].transpose(1, 2).unflatten(2, (4, 8))
    for n, sample in enumerate(found):
        expected = roi_align(maps[n : n + 1], [sample.diagnostic_boxes[0]], 7, 1 / 8, aligned=True)
        torch.testing.assert_close(
            sample.diagnostic_features['last'][0], expected.mean((2, 3)), rtol=1e-4, atol=1e-5
        )


def test_lower_precision_stays_near_and_is_not_inherited_from_the_caller(vit):
    inputs, samples = views(2, 2), box_samples(2, 2, 3)

    def features(precision: str) -> torch.Tensor:
        extractor = DiagnosticExtractor(backbone=vit, precision=precision)
        return extractor(inputs, samples)[0].diagnostic_features['last']

    exact = features('float32')
    with torch.autocast('cpu', torch.bfloat16):
        torch.testing.assert_close(features('float32'), exact, rtol=0, atol=0)
    low = features('bfloat16')
    assert low.dtype == torch.float32
    assert not torch.equal(low, exact)
    assert torch.cosine_similarity(low, exact, dim=-1).min() > 0.999
    with pytest.raises(ValueError, match="precision='half'"):
        DiagnosticExtractor(backbone=vit, precision='half')


def test_samples_may_differ_in_their_number_of_regions_and_carry_only_their_own():
    samples = [box_samples(1, 2, p)[0] for p in (3, 0, 1)]
    extractor = MODELS.build(dict(type='DiagnosticExtractor', backbone=PatchNet(patch_size=8)))
    found = extractor.val_step(dict(inputs=list(views(3, 2)), data_samples=samples))
    assert [tuple(s.diagnostic_features['last'].shape) for s in found] == [
        (2, 3, 32), (2, 0, 32), (2, 1, 32),
    ]  # fmt: skip
    assert len(pickle.dumps(found[2].diagnostic_features)) < 2 * 32 * 4 + 1000


def test_unusable_input_is_named(vit):
    inputs, samples = views(1, 2), box_samples(1, 2, 1)
    with pytest.raises(ValueError, match='does not train'):
        DiagnosticExtractor(backbone=vit)(inputs, samples, mode='loss')
    with pytest.raises(ValueError, match=r'\(N, V, 3, H, W\)'):
        DiagnosticExtractor(backbone=vit)(inputs[0], samples)
    with pytest.raises(ValueError, match="no layer 'block7'"):
        DiagnosticExtractor(backbone=vit, layers=['block7'])(inputs, samples)
    with pytest.raises(ValueError, match='diagnostic_boxes has 3'):
        DiagnosticExtractor(backbone=vit)(inputs, box_samples(1, 3, 1))
    with pytest.raises(ValueError, match='list of names'):
        DiagnosticExtractor(backbone=vit, layers='last')
    samples[0].set_data(dict(token_mask=torch.zeros(2, 3, 3, dtype=torch.bool)))
    with pytest.raises(ValueError, match="set the diagnostic's patch_size"):
        DiagnosticExtractor(backbone=vit)(inputs, samples)
    with pytest.raises(ValueError, match='PatchNet has no mask token'):
        DiagnosticExtractor(backbone=PatchNet())(inputs, samples)
    empty = [BaseDataElement(diagnostic_weights=torch.zeros(2, 1, 32, 64))]
    with pytest.raises(ValueError, match='covers no pixel'):
        DiagnosticExtractor(backbone=vit)(inputs, empty)

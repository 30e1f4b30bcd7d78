"""Places of a network: what is read where, in mmpretrain's, torchvision's and toy networks."""

import pytest
import torch
from mmengine.structures import InstanceData
from mmpretrain.models.backbones import MobileNetV2, ResNet
from mmpretrain.structures import DataSample
from torch import nn
from torchvision.models import VisionTransformer as TorchvisionViT

from mmdssl.evaluation.features import dense_map
from mmdssl.evaluation.layers import layer_maps, layers_by_depth
from mmdssl.evaluation.tokens import has_keys, patch_tokens
from mmdssl.models.backbones import TorchvisionBackbone
from mmdssl.models.backbones.dense_vit import DenseViT
from mmdssl.registry import MODELS
from tests.cli.test_analyze_networks import VIT


def vit():
    torch.manual_seed(0)
    net = DenseViT(**{key: value for key, value in VIT.items() if key != 'type'})
    net.eval()
    return net


@torch.no_grad()
def test_prenorm_and_last_differ_by_the_final_norm():
    net, images = vit(), torch.randn(2, 3, 64, 32)
    found = patch_tokens(net, images, ['last', 'prenorm', 'block0', 'keys'])
    whole = torch.cat((found['prenorm'].prefix, found['prenorm'].patches.flatten(2).mT), dim=1)
    torch.testing.assert_close(net.ln1(whole)[:, 1:].mT.unflatten(2, (8, 4)), found['last'].patches)
    assert found['last'].prefix.shape == (2, 0, 24)
    assert found['keys'].prefix.shape == (2, 1, 24)
    first = layer_maps(net, images, ['block0'])['block0']
    torch.testing.assert_close(found['block0'].patches, first)


@torch.no_grad()
def test_keys_of_torchvision_are_those_of_its_projection(monkeypatch):
    torch.manual_seed(0)
    net = TorchvisionViT(32, 8, 2, 2, 24, 48)
    place = 'mmdssl.models.backbones.torchvision_backbone.get_model'
    monkeypatch.setattr(place, lambda name, weights: net)
    adapter = TorchvisionBackbone(name='small')
    images = torch.randn(1, 3, 32, 32)
    found = patch_tokens(adapter, images, ['keys', 'embedding', 'prenorm'])
    seen = []
    block = adapter.wrapped.encoder.layers[-1]
    handle = block.ln_1.register_forward_hook(lambda _, __, out: seen.append(out))
    adapter(images)
    handle.remove()
    attention = block.self_attention
    want = nn.functional.linear(
        seen[0], attention.in_proj_weight[24:48], attention.in_proj_bias[24:48]
    )
    torch.testing.assert_close(found['keys'].patches.flatten(2).mT, want[:, 1:])
    torch.testing.assert_close(found['embedding'].patches, adapter.wrapped.conv_proj(images))
    assert found['prenorm'].prefix.shape == (1, 1, 24)


@torch.no_grad()
def test_a_cnn_has_its_last_map_and_no_keys():
    net, images = ResNet(18), torch.randn(1, 3, 64, 64)
    net.eval()
    found = patch_tokens(net, images, ['last', 'prenorm', 'C3'])
    assert torch.equal(found['last'].patches, dense_map(net, images))
    assert torch.equal(found['last'].patches, found['prenorm'].patches)
    assert found['C3'].patches.shape == (1, 128, 8, 8)
    assert not has_keys(net)
    for place, message in (('keys', 'has no attention'), ('embedding', 'no vision transformer')):
        with pytest.raises(ValueError, match=message):
            patch_tokens(net, images, [place])


def test_tokens_that_do_not_fit_the_grid_are_refused():
    with pytest.raises(ValueError, match=r"'net\.short' gives .* no tokens of the 4 x 4 patches"):
        patch_tokens(Short(vit()), torch.randn(1, 3, 32, 32), ['net.short'])


class Short(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net
        self.net.short = nn.Identity()

    def forward(self, images):
        self.net.short(images.flatten(2)[..., :3])
        return self.net(images)


def test_layers_are_quarters_of_the_depth():
    assert layers_by_depth(vit(), 2) == ['layers.0', 'last']
    assert layers_by_depth(vit(), 4) == ['layers.0', 'last']  # of two blocks
    assert layers_by_depth(ResNet(18), 4) == ['layer1', 'layer2', 'layer3', 'last']
    assert layers_by_depth(MobileNetV2(widen_factor=0.35), 4) == [
        'layer2', 'layer4', 'layer6', 'last',
    ]  # fmt: skip
    adapter = TorchvisionBackbone(name='resnet18')
    assert layers_by_depth(adapter, 4)[:2] == ['layer1', 'layer2']
    assert layers_by_depth(nn.Conv2d(3, 4, 1), 4) == ['last']


def test_one_pass_gives_what_the_samples_ask_for():
    """Object and patch features equal those of an extractor without tokens."""
    torch.manual_seed(0)
    backbone = vit()
    plain = MODELS.build(dict(type='FeatureExtractor', backbone=backbone))
    tokens = MODELS.build(dict(type='FeatureExtractor', backbone=backbone, tokens=['keys']))
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)

    def samples(with_map):
        found = []
        for _ in range(2):
            boxes = InstanceData(bboxes=torch.tensor([[3.0, 5, 40, 60], [0, 0, 9, 9]]))
            one = DataSample(gt_instances=boxes)
            if with_map:
                one.set_field(torch.zeros(64, 64), 'gt_seg_map', dtype=torch.Tensor)
            found.append(one)
        return found

    passes = []
    handle = backbone.register_forward_hook(lambda *_: passes.append(1))
    both = tokens.test_step(dict(inputs=images, data_samples=samples(True)))
    assert len(passes) == 1
    handle.remove()
    boxes = plain.test_step(dict(inputs=images, data_samples=samples(False)))
    maps = plain.test_step(dict(inputs=images, data_samples=samples(True)))
    for one, own, map_ in zip(both, boxes, maps, strict=True):
        torch.testing.assert_close(one.object_features, own.object_features)
        torch.testing.assert_close(one.patch_features, map_.patch_features)
        assert set(one.patch_tokens) == {'keys'}


def test_images_of_their_own_size_are_padded_with_the_mean_colour():
    extractor = MODELS.build(
        dict(type='FeatureExtractor', backbone=vit(), tokens=['last'], pad_to=16)
    )
    sample = DataSample(metainfo=dict(img_shape=(40, 50)))
    images = torch.full((1, 3, 40, 50), 99, dtype=torch.uint8)
    seen = []
    extractor.backbone.patch_embed.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    (found,) = extractor.test_step(dict(inputs=images, data_samples=[sample]))
    assert found.batch_input_shape == (48, 64)
    assert found.patch_tokens['last'].shape == (24, 6, 8)
    assert (seen[0][..., 40:, :] == 0).all()
    assert (seen[0][..., 50:] == 0).all()
    assert (seen[0][..., :40, :50] != 0).all()


def test_bad_settings_are_named():
    for settings, message in (
        (dict(tokens='keys'), r"list of names such as \['keys'\]"),
        (dict(pad_to=0), 'pad_to=0 must be at least 1'),
    ):
        with pytest.raises(ValueError, match=message):
            MODELS.build(dict(type='FeatureExtractor', backbone=nn.Conv2d(3, 4, 1), **settings))

"""Named layers of any backbone give the maps an independent pass gives."""

import pytest
import torch
import torchvision
from mmpretrain.models.backbones import ResNet
from torch import nn

from mmdssl.evaluation.layers import layer_maps, resolve_layer
from mmdssl.models.backbones.dense_vit import DenseViT


@pytest.fixture
def vit() -> DenseViT:
    torch.manual_seed(0)
    arch = dict(embed_dims=24, num_layers=3, num_heads=3, feedforward_channels=48)
    net = DenseViT(arch=arch, img_size=32, patch_size=8)
    net.eval()  # OpenMMLab's train() and eval() return nothing
    return net


@pytest.mark.parametrize('size', [(64, 64), (64, 96)])
def test_stages_of_a_resnet_are_its_outputs(size):
    torch.manual_seed(0)
    net = ResNet(depth=18, out_indices=(0, 1, 2, 3))
    net.eval()
    images = torch.randn(2, 3, *size)
    found = layer_maps(net, images, ['C2', 'C3', 'C4', 'C5', 'last'])
    expected = net(images)
    for name, one in zip(('C2', 'C3', 'C4', 'C5'), expected, strict=True):
        assert torch.equal(found[name], one)
    assert torch.equal(found['last'], expected[-1])


def test_a_torchvision_resnet_has_stages_too():
    net = torchvision.models.resnet18(weights=None).eval()
    images = torch.randn(1, 3, 64, 64)
    found = layer_maps(net, images, ['C4'])['C4']
    assert found.shape == (1, 256, 4, 4)


@pytest.mark.parametrize('size', [(32, 32), (32, 64), (48, 24)])
def test_blocks_of_a_transformer_become_maps(vit, size):
    images = torch.randn(2, 3, *size)
    found = layer_maps(vit, images, ['block1', 'last'])
    tokens, grid = vit.embed(images)
    tokens = vit.layers[1](vit.layers[0](tokens))
    expected = tokens[:, 1:].reshape(2, *grid, -1).permute(0, 3, 1, 2)
    torch.testing.assert_close(found['block1'], expected)
    final = vit.forward_tokens(images)[:, 1:].reshape(2, *grid, -1).permute(0, 3, 1, 2)
    torch.testing.assert_close(found['last'], final)


def test_a_dotted_name_is_a_layer_and_hooks_are_gone_afterwards(vit):
    found = layer_maps(vit, torch.randn(1, 3, 32, 32), ['patch_embed.projection'])
    assert found['patch_embed.projection'].shape == (1, 24, 4, 4)
    assert not any(module._forward_hooks for module in vit.modules())


def test_an_unknown_layer_is_named_with_those_that_exist(vit):
    with pytest.raises(ValueError, match=r"DenseViT has no layer 'block3'; .*block0 to block2"):
        resolve_layer(vit, 'block3')
    with pytest.raises(ValueError, match="no layer 'C9'; it has last, C2, C3, C4, C5"):
        resolve_layer(ResNet(depth=18), 'C9')


def test_an_output_without_places_is_refused():
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ValueError, match=r"layer 'last' gives \(2, 3\)"):
        layer_maps(net, torch.randn(2, 3, 8, 8))

"""Object features against a hand computation, for each kind of backbone."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmpretrain.models.backbones import MobileNetV2, ResNet, VisionTransformer
from torch import nn
from torchvision.models import resnet18

from mmdssl.evaluation.features import dense_map, object_features, pool_boxes
from mmdssl.evaluation.guards import evaluating, preserve_rng_state


def frozen(net: nn.Module) -> nn.Module:
    net.eval()  # mmpretrain's backbones return nothing here
    return net


def bilinear(image: np.ndarray, y: float, x: float) -> np.ndarray:
    """Value of (C, h, w) at a point whose integer coordinates are cell centres."""
    h, w = image.shape[1:]
    y, x = min(max(y, 0.0), h - 1.0), min(max(x, 0.0), w - 1.0)
    y0, x0 = int(y), int(x)
    y1, x1 = min(y0 + 1, h - 1), min(x0 + 1, w - 1)
    dy, dx = y - y0, x - x0
    top = image[:, y0, x0] * (1 - dx) + image[:, y0, x1] * dx
    bottom = image[:, y1, x0] * (1 - dx) + image[:, y1, x1] * dx
    return top * (1 - dy) + bottom * dy


def pool_by_hand(image: np.ndarray, box: np.ndarray, size: tuple[int, int], cells: int):
    """Mean over cells of the mean over ceil(cell side) points per axis, aligned centres."""
    h, w = image.shape[1:]
    x1, y1, x2, y2 = box * np.array([w / size[1], h / size[0]] * 2)
    ny, nx = (int(np.ceil((b - a) / cells)) for a, b in ((y1, y2), (x1, x2)))
    ys = y1 + (np.arange(cells * ny) + 0.5) * (y2 - y1) / (cells * ny) - 0.5
    xs = x1 + (np.arange(cells * nx) + 0.5) * (x2 - x1) / (cells * nx) - 0.5
    return np.mean([bilinear(image, y, x) for y in ys for x in xs], axis=0)


def test_pooling_equals_bilinear_sampling_by_hand():
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(2, 3, 6, 9)).astype(np.float32)
    size = (97, 140)  # no multiple of the map: the scales of the axes differ
    boxes = [
        np.array([[10, 20, 100, 90], [0, 0, 140, 97], [50, 50, 53, 52]], np.float32),
        np.array([[3.5, 7.25, 130.5, 40.75]], np.float32),
    ]
    pooled = pool_boxes(torch.from_numpy(maps), [torch.from_numpy(b) for b in boxes], size)
    expected = [pool_by_hand(maps[i], box, size, 7) for i in (0, 1) for box in boxes[i]]
    np.testing.assert_allclose(pooled.numpy(), np.stack(expected), rtol=0, atol=1e-5)


def resnet_by_hand(net: ResNet, images: torch.Tensor, upsample: bool) -> torch.Tensor:
    x = net.maxpool(net.relu(net.norm1(net.conv1(images))))
    x = net.layer3(net.layer2(net.layer1(x)))
    if upsample:
        x = F.interpolate(x, size=(2 * x.shape[2], 2 * x.shape[3]), mode='bilinear')
    return net.layer4(x)


@pytest.mark.parametrize('upsample', [True, False])
@pytest.mark.parametrize('out_indices', [(3,), (0, 1)])
def test_resnet_map_follows_the_c4_rule(upsample: bool, out_indices: tuple[int, ...]):
    net = frozen(ResNet(18, out_indices=out_indices))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        found = dense_map(net, images, upsample_c4=upsample)
        expected = resnet_by_hand(net, images, upsample)
    assert found.shape[-1] == (4 if upsample else 2)
    torch.testing.assert_close(found, expected)
    # No hook stays behind.
    assert not net.layer4._forward_hooks
    assert not net.layer4._forward_pre_hooks


def test_torchvision_resnet_follows_the_same_rule():
    net = frozen(resnet18(weights=None))
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        assert dense_map(net, images).shape == (1, 512, 14, 14)
        assert dense_map(net, images, upsample_c4=False).shape == (1, 512, 7, 7)


def test_mobilenet_gives_its_last_map_though_it_has_a_layer4():
    net = frozen(MobileNetV2(widen_factor=0.35, out_indices=(3, 7)))
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(dense_map(net, images), net(images)[-1])


def tiny_vit(out_type: str = 'featmap') -> VisionTransformer:
    arch = dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=48)
    return VisionTransformer(arch=arch, img_size=64, patch_size=16, out_type=out_type)


def test_vit_map_is_the_last_one_after_the_final_norm():
    net = frozen(tiny_vit())
    with torch.no_grad():
        found = dense_map(net, torch.randn(2, 3, 64, 64))
    assert found.shape == (2, 24, 4, 4)
    # A LayerNorm at its initial weights leaves zero mean and unit variance over channels.
    torch.testing.assert_close(found.mean(dim=1), torch.zeros(2, 4, 4), rtol=0, atol=1e-5)
    torch.testing.assert_close(
        found.var(dim=1, unbiased=False), torch.ones(2, 4, 4), rtol=0, atol=1e-2
    )


def test_a_backbone_without_maps_is_named_with_its_remedy():
    with pytest.raises(ValueError, match=r'VisionTransformer returned \(1, 24\).*featmap'):
        dense_map(frozen(tiny_vit('cls_token')), torch.randn(1, 3, 64, 64))


def test_features_are_the_pooled_map_of_unit_length_in_box_order():
    net = frozen(MobileNetV2(widen_factor=0.35))
    images = torch.randn(3, 3, 96, 64)
    boxes = [
        torch.tensor([[0.0, 0, 64, 96], [10, 20, 50, 60]]),
        torch.zeros(0, 4),
        torch.tensor([[5.0, 5, 9, 9]]),
    ]
    found = object_features(net, images, boxes)
    with torch.no_grad():
        maps = net(images)[-1]
    expected = torch.cat(
        [
            pool_boxes(maps[:1], boxes[:1], (96, 64)),
            pool_boxes(maps[2:], boxes[2:], (96, 64)),
        ]
    )
    expected = expected / expected.norm(dim=1, keepdim=True)
    assert found.dtype == torch.float32
    assert not found.requires_grad
    torch.testing.assert_close(found, expected)


def test_images_without_objects_give_no_features():
    net = MobileNetV2(widen_factor=0.35)
    assert object_features(net, torch.randn(1, 3, 64, 64), [torch.zeros(0, 4)]).shape[0] == 0


def test_number_of_box_sets_must_fit():
    with pytest.raises(ValueError, match='1 sets of boxes for 2 images'):
        pool_boxes(torch.ones(2, 1, 2, 2), [torch.ones(1, 4)], (8, 8))


def test_a_backbone_in_training_is_left_as_it_was():
    net = MobileNetV2(widen_factor=0.35, frozen_stages=2)
    net.train()
    modes = [m.training for m in net.modules()]
    assert True in modes
    assert False in modes  # frozen stages stay in eval mode while training
    before = {name: value.clone() for name, value in net.state_dict().items()}
    object_features(net, torch.randn(2, 3, 64, 64), [torch.tensor([[0.0, 0, 32, 32]])] * 2)
    assert [m.training for m in net.modules()] == modes
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name  # BatchNorm statistics included


def test_modes_come_back_after_an_error():
    net = nn.Sequential(nn.Dropout(), nn.BatchNorm2d(2)).train()
    net[1].eval()

    def fail() -> None:
        with evaluating(net):
            assert not net[0].training
            raise RuntimeError('stop')

    with pytest.raises(RuntimeError, match='stop'):
        fail()
    assert [m.training for m in net.modules()] == [True, True, False]


def test_random_states_are_preserved():
    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    def seed() -> None:
        random.seed(0)
        np.random.seed(0)
        torch.manual_seed(0)

    seed()
    draw()
    expected = draw()
    seed()
    draw()
    with preserve_rng_state():
        draw()
        torch.manual_seed(5)
    assert draw() == expected

"""Features of boxes: the official RoIAlign, ResNet cut in two, pooling over what is kept."""

import pytest
import torch
from mmpretrain.models.backbones import ResNet
from torch import nn

from mmdssl.models.utils.region_features import box_cells, c4_map, kept_cells, region_vectors
from tests.golden import Golden, assert_close


def resnet(depth: int = 18, **kwargs) -> ResNet:
    """A narrow ResNet in evaluation mode."""
    torch.manual_seed(0)
    net = ResNet(depth, stem_channels=8, base_channels=8, zero_init_residual=False, **kwargs)
    net.eval()
    return net


def whole(images: torch.Tensor) -> torch.Tensor:
    """One box per image, all of it."""
    height, width = images.shape[-2:]
    return torch.tensor([0.0, 0.0, width, height]).expand(len(images), 1, 4)


@pytest.mark.golden
def test_cells_equal_official_roialign(shared):
    golden = Golden.load(shared('golden/soco_loss.npz')).sub('roialign/')
    boxes = golden['boxes_normalised'][..., :4]
    size = (96, 80)
    pixels = boxes * torch.tensor([size[1], size[0], size[1], size[0]])
    outputs = [name for name in golden if name.startswith('out')]
    assert outputs
    for name in outputs:
        side = golden[name].shape[-1]
        cells = box_cells(golden['map'], pixels, image_size=size, output_size=side)
        assert_close(cells, golden[name], 1e-5, name)


@pytest.mark.parametrize('kwargs', [dict(), dict(depth=50), dict(deep_stem=True)])
def test_c4_and_layer4_are_the_whole_resnet(kwargs):
    backbone = resnet(**kwargs)
    images = torch.randn(2, 3, 64, 96)
    (expected,) = backbone(images)
    assert torch.equal(backbone.layer4(c4_map(backbone, images)), expected)


def test_a_region_is_the_pooled_layer4_of_its_cells():
    backbone = resnet()
    c4, images = torch.randn(2, 32, 4, 6), torch.empty(2, 3, 64, 96)
    vectors = region_vectors(backbone, c4, whole(images), image_size=(64, 96), output_size=4)
    alone = region_vectors(backbone, c4[1:], whole(images)[1:], image_size=(64, 96), output_size=4)
    assert vectors.shape == (2, 64)
    assert torch.allclose(vectors[1:], alone, atol=1e-6)
    square = c4[..., :4]
    cut = region_vectors(
        backbone, square, whole(images[..., :64]), image_size=(64, 64), output_size=2
    )
    averaged = nn.functional.avg_pool2d(square, 2)  # 2 x 2 samples per cell, on cell centres
    assert torch.allclose(cut, backbone.layer4(averaged).mean(dim=(2, 3)), atol=1e-5)


def test_kept_cells_are_the_share_of_kept_pixels():
    keep = torch.zeros(1, 32, 32, dtype=torch.bool)
    keep[:, :, :16] = True
    boxes = torch.tensor([[[0.0, 0, 32, 32], [8, 0, 24, 16], [16, 16, 32, 32]]])
    shares = kept_cells(keep, boxes, image_size=(32, 32), output_size=2)
    expected = torch.tensor([[1.0, 0], [1, 0], [0, 0]])[:, None].expand(3, 2, 2)
    # samples lie on the centres of pixels, so that none interpolates over the border of the mask
    torch.testing.assert_close(shares, expected, rtol=0, atol=1e-5)
    # boxes are in pixels of the image, whatever the resolution of the mask
    half = kept_cells(keep[:, ::2, ::2], boxes, image_size=(32, 32), output_size=2)
    torch.testing.assert_close(half, expected, rtol=0, atol=1e-5)


def test_a_cell_that_is_kept_in_part_counts_with_that_part():
    """The border runs through a column of cells: a quarter of it is kept, of another axis all."""
    keep = torch.zeros(1, 64, 96, dtype=torch.bool)
    keep[:, :, :36] = True  # cells of 16: two whole columns and a quarter of the third
    keep[:, 40:] = False  # and two whole rows and a half of the third
    boxes = torch.tensor([[[0.0, 0, 96, 64]]])
    columns, rows = torch.tensor([1, 1, 0.25, 0, 0, 0]), torch.tensor([1, 1, 0.5, 0])
    wanted = rows[:, None] * columns
    shares = kept_cells(keep, boxes, image_size=(64, 96), output_size=(4, 6))
    torch.testing.assert_close(shares[0], wanted, rtol=0, atol=1e-5)
    backbone = resnet()
    backbone.layer4 = nn.Identity()
    c4 = torch.randn(1, 32, 4, 6)
    settings = dict(image_size=(64, 96), weights=keep)
    cells = box_cells(c4, boxes, image_size=(64, 96), output_size=4)[0]
    kept = kept_cells(keep, boxes, image_size=(64, 96), output_size=4)[0]
    assert ((kept > 0.05) & (kept < 0.95)).any()
    hand = (cells * kept).sum(dim=(1, 2)) / kept.sum()
    vectors = region_vectors(backbone, c4, boxes, output_size=4, **settings)
    torch.testing.assert_close(vectors[0], hand)


def test_weighted_pool_reads_kept_cells_only():
    backbone = resnet()
    backbone.layer4 = nn.Identity()  # cells stay what RoIAlign cuts out
    c4 = torch.randn(1, 32, 8, 8, requires_grad=True)
    keep = torch.zeros(1, 128, 128, dtype=torch.bool)
    keep[:, :, :64] = True
    boxes = torch.tensor([[[0.0, 0, 128, 128]]])
    vectors = region_vectors(
        backbone, c4, boxes, image_size=(128, 128), output_size=8, weights=keep
    )
    torch.testing.assert_close(vectors[0], c4[0, :, :, :4].mean(dim=(1, 2)))
    vectors.sum().backward()
    assert c4.grad[..., 5:].abs().max() == 0  # column 4 touches the border of the mask
    assert c4.grad[..., :4].abs().min() > 0


def test_full_weights_are_the_plain_pool_and_none_gives_zeros():
    backbone = resnet()
    c4, boxes = torch.randn(2, 32, 4, 4), torch.rand(2, 3, 2).sort(dim=-1).values * 64
    boxes = torch.cat((boxes.min(dim=-1, keepdim=True).values.expand(2, 3, 2), boxes + 8), dim=-1)
    settings = dict(image_size=(64, 64), output_size=4)
    plain = region_vectors(backbone, c4, boxes.clamp(0, 64), **settings)
    keep = torch.ones(2, 64, 64, dtype=torch.bool)
    kept = region_vectors(backbone, c4, boxes.clamp(0, 64), weights=keep, **settings)
    assert torch.allclose(plain, kept, atol=1e-5)
    nothing = region_vectors(backbone, c4, boxes.clamp(0, 64), weights=~keep, **settings)
    assert torch.equal(nothing, torch.zeros_like(nothing))


@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16])
def test_cells_keep_the_dtype_of_the_map(dtype):
    maps = torch.randn(1, 4, 8, 8, dtype=torch.float64)
    boxes = torch.tensor([[[3.3, 4.1, 90.7, 101.2]]])
    cells = box_cells(maps.to(dtype), boxes, image_size=(128, 128), output_size=3)
    assert cells.dtype == dtype
    exact = box_cells(maps, boxes, image_size=(128, 128), output_size=3)
    assert torch.allclose(cells.double(), exact, atol=2e-2)


def test_bad_input_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match='no layer1 to layer4'):
        c4_map(nn.Conv2d(3, 3, 1), torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match=r'give \(N, K, 4\)'):
        box_cells(torch.zeros(2, 4, 8, 8), torch.zeros(3, 4), image_size=(8, 8), output_size=2)

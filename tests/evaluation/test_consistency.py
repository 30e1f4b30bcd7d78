"""LSC: known answers of constructed nets, an independent computation, and clear errors."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.evaluator import Evaluator
from mmengine.structures import BaseDataElement
from mmpretrain.models.backbones import ResNet
from torch import Tensor, nn
from torchvision.ops import roi_align

from mmdssl.evaluation.consistency import local_consistency, step_of
from mmdssl.models.backbones import TorchvisionBackbone
from mmdssl.models.backbones.dense_vit import DenseViT
from mmdssl.registry import METRICS, MODELS


class PatchMix(nn.Module):
    """Features of single patches of 16 px, plus ``mix`` times their average over the image."""

    def __init__(self, mix: float = 0.0) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 24, 16, stride=16)
        self.mix = mix

    def forward(self, images: Tensor) -> tuple[Tensor]:
        patches = self.embed(images).tanh()
        return (patches + self.mix * patches.mean(dim=(2, 3), keepdim=True),)


def patch_mix(mix: float) -> PatchMix:
    torch.manual_seed(0)
    return PatchMix(mix)


def photo(height: int = 160, width: int = 160, number: int = 1) -> Tensor:
    """Blobs larger than a patch, so that neighbouring patches differ."""
    noise = torch.randn(
        number, 3, height // 32, width // 32, generator=torch.Generator().manual_seed(5)
    )
    return F.interpolate(noise, size=(height, width), mode='bilinear')


@pytest.fixture(scope='module')
def vit() -> DenseViT:
    torch.manual_seed(0)
    arch = dict(embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=48)
    net = DenseViT(arch=arch, img_size=64, patch_size=16)
    for parameter in net.parameters():  # an initialised one sees next to nothing
        nn.init.normal_(parameter, std=0.3)
    return net


def test_a_net_that_sees_one_patch_at_a_time_is_fully_consistent():
    maps = local_consistency(patch_mix(0.0), photo(160, 224, number=2))
    assert maps.shape == (2, 6, 10)
    torch.testing.assert_close(maps, torch.ones_like(maps))


def test_consistency_falls_the_more_the_whole_image_is_mixed_in():
    means = [local_consistency(patch_mix(mix), photo()).mean() for mix in (0, 0.5, 1, 2, 4)]
    assert all(later < earlier - 0.01 for earlier, later in pairwise(means))


def explicit(net: nn.Module, image: Tensor, *, patch: int, crop: int, token: bool) -> Tensor:
    """One crop at a time, cut by slicing; regions by slices of the full map."""
    net.eval()
    side = crop * patch
    rows, columns = (image.shape[-2] - side) // patch + 1, (image.shape[-1] - side) // patch + 1
    result = torch.zeros(rows, columns)
    with torch.no_grad():
        full = net(image)[-1][0]
        for i in range(rows):
            for j in range(columns):
                cut = image[..., i * patch : i * patch + side, j * patch : j * patch + side]
                alone = net.forward_tokens(cut)[0, 0] if token else net(cut)[-1][0].mean(dim=(1, 2))
                region = full[:, i : i + crop, j : j + crop].mean(dim=(1, 2))
                result[i, j] = F.cosine_similarity(alone, region, dim=0)
    return result


@pytest.mark.parametrize('pool', ['patches', 'cls'])
@pytest.mark.parametrize('chunk', [7, 1000])
def test_maps_of_a_transformer_are_those_of_crops_cut_one_by_one(vit, pool, chunk):
    image = photo(96, 128)
    found = local_consistency(vit, image, crop=3, pool=pool, chunk=chunk)
    expected = explicit(vit, image, patch=16, crop=3, token=pool == 'cls')
    assert expected.std() > 0.001
    torch.testing.assert_close(found[0], expected, rtol=1e-4, atol=1e-5)
    assert vit.out_type == 'featmap'


def test_regions_on_the_grid_equal_roi_align_for_a_map_that_rises_evenly():
    class Ramp(nn.Module):
        """Interpolation between cells changes no average of a linear map, inside."""

        def forward(self, images: Tensor) -> Tensor:
            h, w = images.shape[-2] // 16, images.shape[-1] // 16
            if h == 2:
                crop = torch.tensor([3.0, 1.0, 2.0])  # nothing is alike in x and y
                return crop[:, None, None].expand(len(images), 3, h, w)
            y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing='ij')
            return (
                torch.stack([x, y, torch.ones_like(x)])[None]
                .float()
                .expand(len(images), -1, -1, -1)
            )

    cells, roi = (
        local_consistency(Ramp(), torch.zeros(1, 3, 96, 128), crop=2, region=region)
        for region in ('cells', 'roi_align')
    )
    assert cells.shape == roi.shape == (1, 5, 7)
    torch.testing.assert_close(cells[:, 1:-1, 1:-1], roi[:, 1:-1, 1:-1])


def test_roi_align_regions_lie_where_the_crops_do():
    """Alone and in the whole image a patch looks the same, so only the right place gives 1."""
    image = photo(96, 128)
    net = patch_mix(0.0)
    with torch.no_grad():
        full = net(image)[0]
    found = local_consistency(net, image, crop=2, region='roi_align')
    assert found.shape == (1, 5, 7)
    wanted = torch.zeros(5, 7)
    for i in range(5):
        for j in range(7):
            box = torch.tensor([[0.0, j, i, j + 2, i + 2]])
            region = roi_align(full, box, 7, 1.0, -1, aligned=True).mean(dim=(2, 3))[0]
            alone = full[0, :, i : i + 2, j : j + 2].mean(dim=(1, 2))
            wanted[i, j] = F.cosine_similarity(alone, region, dim=0)
    torch.testing.assert_close(found[0], wanted, rtol=1e-4, atol=1e-4)
    assert wanted.min() > 0.8
    assert wanted.std() > 1e-3


def test_a_cnn_is_read_by_exact_shares_of_its_coarse_cells():
    torch.manual_seed(0)
    net = ResNet(depth=18)
    image = photo(128, 128)
    found = local_consistency(net, image, patch=16, crop=5)
    assert found.shape == (1, 4, 4)
    net.eval()
    with torch.no_grad():
        # Nearest upsampling to pixels makes the mean over an area a mean over pixels.
        pixels = F.interpolate(net(image)[-1], scale_factor=32, mode='nearest')[0]
        alone = net(image[..., 16:96, 32:112])[-1][0].mean(dim=(1, 2))
    region = pixels[:, 16:96, 32:112].mean(dim=(1, 2))
    expected = F.cosine_similarity(alone, region, dim=0)
    torch.testing.assert_close(found[0, 1, 2], expected, rtol=1e-4, atol=1e-5)


def test_bfloat16_changes_the_maps_by_its_rounding_only(vit):
    image = photo(96, 96)
    exact, rough = (local_consistency(vit, image, crop=3, amp=amp) for amp in (False, True))
    assert rough.dtype == torch.float32
    assert 0 < (exact - rough).abs().max() < 0.03


@pytest.mark.parametrize(
    ('size', 'settings', 'message'),
    [
        ((64, 160), {}, r'images of 64 x 160 px are smaller than a crop of 5 x 5 patches'),
        ((168, 160), {}, 'no multiples of patch=16'),
        ((160, 160), dict(pool='max'), "pool='max' must be one of"),
        ((160, 160), dict(region='box'), "region='box' must be one of"),
        ((160, 160), dict(pool='cls'), 'PatchMix has no class token'),
        ((160, 160), dict(chunk=0), 'chunk=0'),
        ((160, 160), dict(layer='block9'), "no layer 'block9'"),
        ((160, 160), dict(layer='embed', pool='cls'), "set layer='last'"),
    ],
)
def test_unusable_input_is_named(size, settings, message):
    with pytest.raises(ValueError, match=message):
        local_consistency(patch_mix(0), torch.zeros(1, 3, *size), **settings)


def test_a_crop_must_hold_whole_patches_of_the_transformer(vit):
    with pytest.raises(ValueError, match=r'70 px holds no whole number .* set patch=16'):
        local_consistency(vit, torch.zeros(1, 3, 140, 140), patch=14)


def test_the_step_is_the_transformers_own_patch():
    arch = dict(embed_dims=24, num_layers=1, num_heads=3, feedforward_channels=48)
    net = DenseViT(arch=arch, img_size=32, patch_size=8)
    assert local_consistency(net, photo(64, 96)).shape == (1, 4, 8)
    assert (step_of(net), step_of(ResNet(depth=18))) == (8, 16)
    adapter = TorchvisionBackbone(name='resnet18')
    assert step_of(adapter) == 16
    adapter.patch_size = 14  # as those of vision transformers say
    assert step_of(adapter) == 14


def test_extractor_and_metric_report_the_mean_and_keep_the_maps(tmp_path):
    torch.manual_seed(0)
    extractor = MODELS.build(dict(type='ConsistencyExtractor', backbone=patch_mix(1.0), crop=3))
    file = tmp_path / 'a' / 'm.npz'
    metric = METRICS.build(dict(type='LocalSemanticConsistency', maps_file=file))
    images = (photo(number=3) * 40 + 120).clamp(0, 255).byte()
    evaluator = Evaluator([metric])
    for part in (images[:2], images[2:]):
        batch = dict(inputs=part, data_samples=[BaseDataElement() for _ in part])
        evaluator.process(data_samples=extractor.test_step(batch), data_batch=batch)
    found = evaluator.evaluate(3)
    expected = extractor(extractor.data_preprocessor(dict(inputs=images))['inputs'], mode='tensor')
    assert found['lsc/num_images'] == 3
    assert found['lsc/mean'] == pytest.approx(expected.mean().item(), abs=1e-6)
    means = expected.flatten(1).mean(1).double().numpy()
    assert found['lsc/std'] == pytest.approx(means.std(), abs=1e-6)
    within = expected.flatten(1).double().numpy().std(axis=1).mean()
    assert found['lsc/std_within'] == pytest.approx(within, abs=1e-6)
    assert within > 10 * within**2 > 0  # a variance would be told from it
    np.testing.assert_allclose(metric.maps[2], expected[2].numpy(), atol=1e-6)
    with np.load(file) as kept:
        np.testing.assert_array_equal(kept['2'], metric.maps[2])


def test_no_image_is_an_error_and_extractors_do_not_train():
    metric = METRICS.build(dict(type='LocalSemanticConsistency'))
    with pytest.raises(ValueError, match='lsc got no image'):
        metric.compute_metrics([])
    extractor = MODELS.build(dict(type='ConsistencyExtractor', backbone=patch_mix(0)))
    with pytest.raises(ValueError, match='does not train'):
        extractor(photo(), [], mode='loss')

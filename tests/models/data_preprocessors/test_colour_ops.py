import math

import mmcv
import pytest
import torch
import torchvision.transforms.functional as tvf

from mmdssl.models.data_preprocessors import colour_ops as ops

from .images import MEAN, STD, images


def each(function, batch, values):
    """torchvision, image by image."""
    return torch.stack([function(x, v) for x, v in zip(batch, values.tolist(), strict=True)])


@pytest.mark.parametrize(
    ('batched', 'single'),
    [
        (ops.adjust_brightness_, tvf.adjust_brightness),
        (ops.adjust_contrast_, tvf.adjust_contrast),
        (ops.adjust_saturation_, tvf.adjust_saturation),
    ],
)
def test_factor_ops_equal_torchvision_within_1e_6(batched, single):
    batch = ops.to_float(images(12))
    factors = torch.linspace(0, 2.5, 12)
    expected = each(single, batch, factors)
    torch.testing.assert_close(batched(batch, factors), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize('limit', [0.0, 0.1, 1 / 6, 1 / 3, 0.5])
def test_hue_equals_torchvision_within_1e_5(limit):
    batch = ops.to_float(images(24))
    shifts = torch.linspace(-limit, limit, 24)[torch.randperm(24)]
    expected = each(tvf.adjust_hue, batch, shifts)
    torch.testing.assert_close(ops.adjust_hue_(batch, shifts), expected, rtol=0, atol=1e-5)


def test_hue_of_a_third_turn_permutes_the_channels():
    batch = ops.to_float(images(12))
    turned = ops.adjust_hue_(batch.clone(), torch.full((12,), 1 / 3))
    torch.testing.assert_close(turned, batch[:, [2, 0, 1]], rtol=0, atol=1e-5)


def test_hue_keeps_grey_pixels_finite_and_unchanged():
    batch = ops.to_float(images(3))  # black, white, grey
    turned = ops.adjust_hue_(batch.clone(), torch.tensor([0.1, -0.4, 0.5]))
    torch.testing.assert_close(turned, batch, rtol=0, atol=1e-6)


def test_grayscale_equals_torchvision_within_1e_6():
    batch = ops.to_float(images())
    expected = tvf.rgb_to_grayscale(batch, 3)
    torch.testing.assert_close(ops.grayscale_(batch), expected, rtol=0, atol=1e-6)


def test_solarize_equals_torchvision_within_1e_6():
    batch = ops.to_float(images())
    thresholds = torch.linspace(0, 1, 12)
    expected = each(tvf.solarize, batch, thresholds)
    torch.testing.assert_close(ops.solarize_(batch, thresholds), expected, rtol=0, atol=1e-6)


def test_solarize_of_one_half_is_mmpretrains_threshold_128():
    pixels = images()
    batch = ops.solarize_(ops.to_float(pixels), torch.full((len(pixels),), 0.5))
    expected = torch.from_numpy(mmcv.solarize(pixels.numpy(), thr=128))
    assert torch.equal((batch * 255).round().to(torch.uint8), expected.to(torch.uint8))


def test_solarize_of_infinity_changes_nothing():
    batch = ops.to_float(images())
    assert torch.equal(ops.solarize_(batch.clone(), torch.full((12,), math.inf)), batch)


def test_normalize_equals_torchvision_within_1e_5():
    batch = ops.to_float(images())
    expected = tvf.normalize(batch, MEAN, STD)
    result = ops.normalize_(batch, torch.tensor(MEAN), torch.tensor(STD))
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize('name', ['brightness', 'contrast', 'saturation', 'hue'])
def test_ops_work_in_place_on_slices_of_a_batch(name):
    function = getattr(ops, f'adjust_{name}_')
    batch = ops.to_float(images())
    values = torch.linspace(-0.4, 0.4, 12) if name == 'hue' else torch.linspace(0.2, 1.8, 12)
    alone = torch.cat(
        [function(batch[i : i + 1].clone(), values[i : i + 1]) for i in range(len(batch))]
    )
    before = batch.clone()
    result = function(batch[3:9], values[3:9])
    assert result.data_ptr() == batch[3].data_ptr()
    torch.testing.assert_close(batch[3:9], alone[3:9], rtol=0, atol=1e-6)
    assert torch.equal(batch[:3], before[:3])
    assert torch.equal(batch[9:], before[9:])


@pytest.mark.parametrize('dtype', [torch.uint8, torch.float16, torch.float32, torch.float64])
def test_to_float_gives_new_float32_memory(dtype):
    source = torch.full((1, 3, 2, 2), 255 if dtype == torch.uint8 else 1.0, dtype=dtype)
    result = ops.to_float(source)
    assert result.dtype == torch.float32
    assert torch.equal(result, torch.ones(1, 3, 2, 2))
    result.zero_()
    assert source.float().min() > 0


def test_to_float_refuses_integers_of_unknown_range():
    with pytest.raises(TypeError, match='int64'):
        ops.to_float(torch.zeros(1, 3, 2, 2, dtype=torch.int64))

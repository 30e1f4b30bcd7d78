import pytest
import torch
import torchvision.transforms.functional as tvf

from mmdssl.models.data_preprocessors import colour_augment
from mmdssl.models.data_preprocessors.colour_augment import augment_colours
from mmdssl.models.data_preprocessors.colour_policy import ColourPolicy

from .images import MEAN, STD, images, reference

VIEW = dict(
    jitter=dict(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, prob=0.8),
    grayscale=0.3,
    blur=dict(prob=0.5, sigma=(0.1, 2.0)),
    solarize=dict(prob=0.4, threshold=0.5),
)
STATISTICS = dict(mean=torch.tensor(MEAN), std=torch.tensor(STD))
# Solarising jumps at its threshold, where torchvision and we may round to different sides.
ROUNDING = dict(rtol=0, atol=1e-4)


def draw(n, view=VIEW, seed=0):
    torch.manual_seed(seed)
    return ColourPolicy.from_config(view).draw(n)


def augment(batch, draws, **kwargs):
    return augment_colours(batch, draws, **STATISTICS, **{'radius': 6, **kwargs})


@pytest.mark.parametrize('aug_order', ['ibot_d', 'ibot'])
def test_result_equals_torchvision_sample_by_sample(aug_order):
    batch, draws = images(48), draw(48)
    assert len(draws.order.unique(dim=0)) > 12
    result = augment(batch, draws, aug_order=aug_order)
    official = aug_order == 'ibot_d'
    for row, image in enumerate(batch):
        expected = reference(image, draws, row, radius=6, official=official)
        close = torch.isclose(result[row], expected, **ROUNDING)
        # Values exactly at the threshold are few in noise, but not none.
        assert close.float().mean() > (0.999 if draws.threshold[row] <= 1 else 0.999999)


def test_orders_of_blur_differ():
    batch, draws = images(16), draw(16, {**VIEW, 'blur': dict(prob=1.0, sigma=(1.0, 2.0))})
    official, ibot = (augment(batch, draws, aug_order=order) for order in ('ibot_d', 'ibot'))
    assert (official - ibot).abs().max() > 0.1


def test_operations_run_in_the_drawn_order():
    """The four factors in all orders: results differ between orders and equal torchvision."""
    draws = draw(64, dict(jitter=dict(brightness=0.9, contrast=0.9, saturation=0.9, hue=0.5)))
    batch = images(8)[7:].expand(64, -1, -1, -1)
    draws.factors.copy_(torch.tensor([1.6, 0.5, 1.7, 0.2]))
    result = augment(batch, draws)
    for row in range(64):
        expected = reference(batch[row], draws, row, radius=6, official=True)
        torch.testing.assert_close(result[row], expected, **ROUNDING)
    orders = draws.order.unique(dim=0)
    distinct = result.mean((2, 3)).mul(1e3).round().unique(dim=0)
    assert len(orders) > 18
    assert len(distinct) > len(orders) / 2


def test_samples_without_draws_are_only_normalised():
    batch, draws = images(64), draw(64)
    idle = (draws.order[:, 0] < 0) & ~draws.grayscale & draws.sigma.eq(0) & draws.threshold.isinf()
    assert 0 < idle.sum() < 64
    expected = tvf.normalize(batch.float() / 255, MEAN, STD)
    torch.testing.assert_close(augment(batch, draws)[idle], expected[idle], rtol=0, atol=1e-5)


def test_a_sample_does_not_depend_on_its_batch():
    batch, draws = images(24), draw(24)
    together = augment(batch, draws)
    alone = torch.cat([augment(batch[i : i + 1], draws[i : i + 1]) for i in range(24)])
    torch.testing.assert_close(together, alone, rtol=0, atol=2e-5)


@pytest.mark.parametrize('pixels', [1, 5 * 37 * 41, 10**9])
def test_group_size_does_not_change_the_result(monkeypatch, pixels):
    batch, draws = images(24), draw(24)
    expected = augment(batch, draws)
    monkeypatch.setattr(colour_augment, '_GROUP_PIXELS', pixels)
    torch.testing.assert_close(augment(batch, draws), expected, rtol=0, atol=2e-5)


def test_input_stays_as_it_was():
    for batch in (images(24), images(24) / 255):
        before = batch.clone()
        augment(batch, draw(24))
        assert torch.equal(batch, before)


def test_uint8_and_float_input_give_the_same():
    batch, draws = images(24), draw(24, {**VIEW, 'solarize': {}})
    torch.testing.assert_close(augment(batch, draws), augment(batch / 255, draws), **ROUNDING)


def test_autocast_changes_nothing():
    batch, draws = images(24), draw(24)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        inside = augment(batch, draws)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, augment(batch, draws))


def test_channels_last_changes_the_layout_only():
    batch, draws = images(24), draw(24)
    result = augment(batch, draws, channels_last=True)
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(result, augment(batch, draws))


def test_radius_defaults_to_the_largest_sigma_drawn():
    batch, draws = images(8), draw(8)
    draws.sigma.copy_(torch.linspace(0, 1.5, 8))
    torch.testing.assert_close(augment(batch, draws, radius=None), augment(batch, draws, radius=5))


def test_empty_batch_passes_through():
    assert augment(images(0), draw(0)).shape == (0, 3, 37, 41)

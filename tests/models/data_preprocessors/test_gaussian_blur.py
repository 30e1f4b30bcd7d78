import numpy as np
import pytest
import torch
import torchvision.transforms.functional as tvf
from PIL import Image, ImageFilter

from mmdssl.models.data_preprocessors.gaussian_blur import (
    blur_radius,
    gaussian_blur,
    gaussian_kernels,
)

from .images import images


@pytest.mark.parametrize(('radius', 'height', 'width'), [(6, 37, 41), (2, 20, 64), (6, 7, 30)])
def test_blur_equals_torchvision_within_1e_5(radius, height, width):
    batch = images(12, height, width).float() / 255
    sigmas = torch.linspace(0.1, 2.0, 12)
    expected = torch.stack(
        [
            tvf.gaussian_blur(image, [2 * radius + 1] * 2, [sigma, sigma])
            for image, sigma in zip(batch, sigmas.tolist(), strict=True)
        ]
    )
    torch.testing.assert_close(gaussian_blur(batch, sigmas, radius), expected, rtol=0, atol=1e-5)


def test_blur_leaves_its_input_alone():
    batch = images(3).float()
    before = batch.clone()
    gaussian_blur(batch, torch.tensor([0.5, 1.0, 2.0]), 6)
    assert torch.equal(batch, before)


def test_kernel_sums_to_one_and_loses_under_two_per_mille():
    sigmas = torch.linspace(0.1, 2.0, 50)
    cut = gaussian_kernels(sigmas, blur_radius(2.0))
    torch.testing.assert_close(cut.sum(1), torch.ones(50))
    whole = gaussian_kernels(sigmas, 60)
    lost = 1 - whole[:, 60 - 6 : 60 + 7].sum(1)
    assert lost.max() < 2e-3


@pytest.mark.parametrize(('sigma', 'radius'), [(0.1, 1), (1.0, 3), (2.0, 6), (2.01, 7)])
def test_radius_is_three_sigma_rounded_up(sigma, radius):
    assert blur_radius(sigma) == radius


@pytest.mark.parametrize('size', [1, 2, 5])
def test_images_smaller_than_the_kernel_are_blurred_too(size):
    batch = torch.rand(2, 3, size, size)
    blurred = gaussian_blur(batch, torch.tensor([1.0, 2.0]), 6)
    assert blurred.shape == batch.shape
    flat = torch.full((1, 3, size, size), 0.3)
    torch.testing.assert_close(gaussian_blur(flat, torch.tensor([2.0]), 6), flat)


def test_blur_is_near_pils_of_the_same_radius():
    """PIL approximates with three box filters, rounds to uint8 and repeats the border."""
    coarse = torch.rand(1, 3, 14, 14, generator=torch.Generator().manual_seed(0))
    image = torch.nn.functional.interpolate(coarse, 112, mode='bicubic').clamp(0, 1)
    pixels = (image * 255).round().to(torch.uint8)
    for sigma in (0.5, 1.0, 2.0):
        ours = gaussian_blur(pixels / 255, torch.tensor([sigma]), 6)[0]
        pil = Image.fromarray(pixels[0].permute(1, 2, 0).numpy())
        theirs = np.asarray(pil.filter(ImageFilter.GaussianBlur(sigma))) / 255.0
        difference = (ours.permute(1, 2, 0) - torch.from_numpy(theirs)).abs()
        assert difference.mean() < 0.004  # one grey level

"""Gaussian blur of a batch, each sample with its own sigma, as two depth-wise 1-D convolutions.

Measured alternatives on one CPU core at 224 px (ms an image): two depth-wise convolutions 0.33 in
groups of five images, block-banded matrix products 0.65, weighted shifted sums 0.76, full banded
matrix products (``torch.bmm``) 1.8, torchvision's 2-D kernel 4.4.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ['blur_radius', 'gaussian_blur', 'gaussian_kernels']


def blur_radius(sigma: float) -> int:
    """Radius in pixels at which a kernel of ``sigma`` is cut: ``ceil(3 * sigma)``, at least 1.

    Less than 0.2 % of the weight lies outside (0.1 % at sigma 2); the rest is renormalised to 1.
    """
    return max(1, math.ceil(3 * sigma))


def gaussian_kernels(sigmas: Tensor, radius: int) -> Tensor:
    """Sampled Gaussians, one a row, each summing to 1 (torchvision's 1-D kernel).

    Args:
        sigmas: (N,) float32 > 0, in pixels.
        radius: Pixels on either side of the centre.

    Returns:
        (N, 2 * radius + 1) float32.
    """
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float32, device=sigmas.device)
    return torch.softmax(-0.5 * (offsets / sigmas.unsqueeze(1)).square(), dim=1)


def gaussian_blur(images: Tensor, sigmas: Tensor, radius: int) -> Tensor:
    """Blurs each image with its sigma; borders are reflected.

    Equals ``torchvision.transforms.functional.gaussian_blur(image, 2 * radius + 1, sigma)`` within
    1e-5. A side shorter than ``radius + 1`` pixels cannot be reflected that far: the kernel is cut
    to what fits along that side. On 224 px photos the mean difference to PIL's filter of the same
    radius (three box filters, rounded to uint8, repeated borders) is 0.5 to 1.1 grey levels.

    Args:
        images: (N, C, H, W) float32.
        sigmas: (N,) float32 > 0, in pixels (the ``radius`` of ``PIL.ImageFilter.GaussianBlur``).
        radius: Kernel radius in pixels, see :func:`blur_radius`.

    Returns:
        (N, C, H, W) float32, a new tensor.
    """
    n, c, h, w = images.shape
    radius_h, radius_w = min(radius, h - 1), min(radius, w - 1)
    # One group for every image and channel: (N, C, H, W) -> (1, N*C, H, W)
    planes = images.reshape(1, n * c, h, w)
    padded = F.pad(planes, (radius_w, radius_w, radius_h, radius_h), mode='reflect')
    rows = gaussian_kernels(sigmas, radius_h).repeat_interleave(c, dim=0)  # (N*C, 2*radius_h+1)
    columns = gaussian_kernels(sigmas, radius_w).repeat_interleave(c, dim=0)
    blurred = F.conv2d(padded, rows[:, None, :, None], groups=n * c)
    blurred = F.conv2d(blurred, columns[:, None, None, :], groups=n * c)
    return blurred.view(n, c, h, w)

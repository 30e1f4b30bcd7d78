"""Colour operations on a batch, each sample with its own parameter.

The formulas are those of ``torchvision.transforms.functional`` on float images, which take one
parameter for a whole batch; here every operation takes a vector of ``N``. They work **in place**
(hence the trailing underscore) on an image batch the caller owns, so that a chain of them passes
over the memory as few times as possible, and they carry no gradient. Comparisons and
``torch.where`` are several times slower than arithmetic on a CPU, so none is used: 0/1 factors
come from float comparisons and piecewise functions from ``clamp``.
"""

import torch
from torch import Tensor

__all__ = [
    'GRAY_WEIGHTS',
    'adjust_brightness_',
    'adjust_contrast_',
    'adjust_hue_',
    'adjust_saturation_',
    'grayscale_',
    'normalize_',
    'solarize_',
    'to_float',
]

# ITU-R 601 luma as torchvision rounds it.
GRAY_WEIGHTS = (0.2989, 0.587, 0.114)


def _per_sample(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


def to_float(images: Tensor) -> Tensor:
    """Images as a new float32 tensor.

    Args:
        images: (N, C, H, W), uint8 in 0..255 or floating point in [0, 1].

    Returns:
        (N, C, H, W) float32 in [0, 1], never sharing memory with ``images``.

    Raises:
        TypeError: If ``images`` are of another integer type.
    """
    if images.dtype == torch.uint8:
        return images.to(torch.float32).mul_(1 / 255)
    if not images.is_floating_point():
        raise TypeError(f'images are uint8 or floating point, got {images.dtype}: convert them')
    return images.to(torch.float32, copy=True)


def luma(images: Tensor) -> Tensor:
    """Grey value of every pixel.

    Args:
        images: (N, 3, H, W) float32.

    Returns:
        (N, 1, H, W) float32: 0.2989 R + 0.587 G + 0.114 B.
    """
    red, green, blue = images.split(1, dim=1)
    gray = red * GRAY_WEIGHTS[0]
    return gray.add_(green, alpha=GRAY_WEIGHTS[1]).add_(blue, alpha=GRAY_WEIGHTS[2])


def adjust_brightness_(images: Tensor, factors: Tensor) -> Tensor:
    """Multiplies each image by its factor, in place; equals torchvision within 1e-6.

    Args:
        images: (N, C, H, W) float32 in [0, 1].
        factors: (N,) float32 >= 0; 0 black, 1 unchanged.

    Returns:
        ``images``, in [0, 1].
    """
    return images.mul_(_per_sample(factors)).clamp_(0, 1)


def adjust_contrast_(images: Tensor, factors: Tensor) -> Tensor:
    """Blends each image with its own mean grey value, in place; equals torchvision within 1e-6.

    Channels that are not R, G, B have no grey value in common: each is blended with its own mean.

    Args:
        images: (N, C, H, W) float32 in [0, 1].
        factors: (N,) float32 >= 0; 0 uniform grey, 1 unchanged.

    Returns:
        ``images``, in [0, 1].
    """
    # The mean of the grey image is the grey value of the channel means: no grey image is made.
    means = images.mean((2, 3), keepdim=True)  # (N, C, 1, 1)
    if images.shape[1] == 3:
        means = luma(means)  # (N, 1, 1, 1)
    factors = _per_sample(factors)
    return images.mul_(factors).add_(means * (1 - factors)).clamp_(0, 1)


def adjust_saturation_(images: Tensor, factors: Tensor) -> Tensor:
    """Blends each image with its grey image, in place; equals torchvision within 1e-6.

    Args:
        images: (N, 3, H, W) float32 in [0, 1].
        factors: (N,) float32 >= 0; 0 grey, 1 unchanged.

    Returns:
        ``images``, in [0, 1].
    """
    factors = _per_sample(factors)
    gray = luma(images).mul_(1 - factors)
    return images.mul_(factors).add_(gray).clamp_(0, 1)


def adjust_hue_(images: Tensor, shifts: Tensor) -> Tensor:
    """Turns the hue of each image, in place; equals torchvision within 1e-5.

    Value and chroma of a pixel do not change when its hue turns, so no HSV image is made: with
    hue h in sextants, ``low = min(R, G, B)`` and ``chroma = max - low``, the new channels are
    ``low + chroma * w(h)`` with the trapezoid waves ``w_R = clamp(|h - 3| - 1, 0, 1)``,
    ``w_G = clamp(2 - |h - 2|, 0, 1)`` and ``w_B = clamp(2 - |h - 4|, 0, 1)``.

    Args:
        images: (N, 3, H, W) float32 in [0, 1].
        shifts: (N,) float32 in [-0.5, 0.5], in turns of the colour circle.

    Returns:
        ``images``, in [0, 1] up to rounding.
    """
    red, green, blue = images.unbind(1)  # 3 x (N, H, W), views
    low = torch.minimum(red, green)
    torch.minimum(low, blue, out=low)
    chroma = torch.maximum(red, green)
    torch.maximum(chroma, blue, out=chroma)

    # hue * chroma, by which channel is the largest: blue, else green over it, else red over both
    # (the order of ties in torchvision). The comparisons write 0 and 1 into a float plane.
    spare = torch.eq(green, chroma, out=torch.empty_like(low))
    is_red = torch.eq(red, chroma, out=torch.empty_like(low))
    chroma.sub_(low)
    hue = (red - green).add_(chroma, alpha=4)
    other = (blue - red).add_(chroma, alpha=2)
    hue.lerp_(other, spare)
    hue.lerp_(torch.sub(green, blue, out=other), is_red)
    # A grey pixel has hue 0 / tiny = 0 here and keeps its colour, whatever the shift.
    hue.div_(torch.clamp(chroma, min=torch.finfo(torch.float32).tiny, out=spare))

    hue.add_((6 * shifts).view(-1, 1, 1))
    hue.sub_(torch.mul(hue, 1 / 6, out=spare).floor_(), alpha=6)  # into [0, 6]

    # With u = clamp(|h - centre|, 1, 2) the waves are u - 1 for red and 2 - u for the others.
    rising = torch.sub(low, chroma, out=other)
    falling = low.add_(chroma, alpha=2)
    for plane, centre, base, sign in (
        (red, 3, rising, 1),
        (green, 2, falling, -1),
        (blue, 4, falling, -1),
    ):
        wave = torch.sub(hue, centre, out=spare).abs_().clamp_(1, 2)
        torch.addcmul(base, chroma, wave, value=sign, out=plane)
    return images


def grayscale_(images: Tensor) -> Tensor:
    """Replaces all channels by the grey value, in place; equals torchvision within 1e-6.

    Args:
        images: (N, 3, H, W) float32 in [0, 1].

    Returns:
        ``images``.
    """
    return images.copy_(luma(images).expand_as(images))


def solarize_(images: Tensor, thresholds: Tensor) -> Tensor:
    """Inverts the values at or above the threshold, in place; equals torchvision within 1e-6.

    On pixels made from uint8, threshold 0.5 is mmpretrain's ``Solarize(thr=128)``.

    Args:
        images: (N, 3, H, W) float32 in [0, 1].
        thresholds: (N,) float32; above 1 leaves the image unchanged.

    Returns:
        ``images``, in [0, 1].
    """
    inverted = images.clone().ge_(_per_sample(thresholds))  # 0 or 1, float32
    # x + 1 * (1 - 2 x) = 1 - x
    return images.addcmul_(inverted, images.mul(-2).add_(1))


def normalize_(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """``(images - mean) / std`` per channel, in place; equals torchvision within 1e-5.

    Args:
        images: (N, C, H, W) float32 in [0, 1].
        mean: (C,) float32, in the units of ``images``.
        std: (C,) float32 > 0, in the units of ``images``.

    Returns:
        ``images``.
    """
    return images.sub_(mean.view(1, -1, 1, 1)).mul_(std.reciprocal().view(1, -1, 1, 1))

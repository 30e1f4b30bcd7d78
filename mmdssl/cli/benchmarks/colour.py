"""Speed of the batched colour augmentation on one CPU thread against one image at a time.

The batch is 64 images in two 224 px views with the colours of iBOT-D. All three ways get the
same drawn parameters: ours for the batch, torchvision's functional operations on each float
image, and the PIL operations on each uint8 image that loaders commonly run.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torchvision.transforms.functional as tvf
from PIL import Image, ImageFilter
from torch import Tensor

from mmdssl.models.data_preprocessors.colour_augment import augment_colours
from mmdssl.models.data_preprocessors.colour_policy import ColourDraws, ColourPolicy
from mmdssl.models.data_preprocessors.gaussian_blur import blur_radius

__all__ = ['rows']

IMAGES, SIZE = 64, 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
JITTER = dict(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, prob=0.8)
VIEWS = [
    dict(jitter=JITTER, grayscale=0.2, blur=dict(prob=1.0, sigma=(0.1, 2.0))),
    dict(
        jitter=JITTER,
        grayscale=0.2,
        blur=dict(prob=0.1, sigma=(0.1, 2.0)),
        solarize=dict(prob=0.2, threshold=0.5),
    ),
]
RADIUS = blur_radius(2.0)
ADJUST = (tvf.adjust_brightness, tvf.adjust_contrast, tvf.adjust_saturation, tvf.adjust_hue)


def rows(repeat: int = 5) -> list[dict[str, Any]]:
    """Times the three ways.

    Args:
        repeat: Timed runs of each way, taken in turn; the fastest counts.

    Returns:
        One dict a figure: ``name``, ``value``, ``unit`` ('ms' an image of two views on one
        thread, or 'x' for how many times faster the batch is).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            images = [_photo_like(IMAGES, SIZE) for _ in VIEWS]
            draws = [ColourPolicy.from_config(view).draw(IMAGES) for view in VIEWS]
        seconds = _fastest(
            {
                'batched': lambda: _batched(images, draws),
                'torchvision, float image by image': lambda: _torchvision(images, draws),
                'PIL, uint8 image by image': lambda: _pil(images, draws),
            },
            repeat,
        )
    finally:
        torch.set_num_threads(threads)
    name = f'colours of two {SIZE} px views, batch of {IMAGES}, 1 thread'
    times = [
        dict(name=f'{name}: {how}', value=1000 * taken / IMAGES, unit='ms')
        for how, taken in seconds.items()
    ]
    ratios = [
        dict(name=f'{name}: {how} / batched', value=taken / seconds['batched'], unit='x')
        for how, taken in seconds.items()
        if how != 'batched'
    ]
    return times + ratios


def _fastest(ways: dict[str, Callable[[], Any]], repeat: int) -> dict[str, float]:
    best = dict.fromkeys(ways, float('inf'))
    for _ in range(repeat + 1):  # the first run warms up and counts only if it is the fastest
        for name, run in ways.items():
            start = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def _photo_like(n: int, size: int) -> Tensor:
    """(n, 3, size, size) uint8 with smooth regions and noise, so that no branch is always taken."""
    coarse = torch.rand(n, 3, 8, 8)
    smooth = torch.nn.functional.interpolate(coarse, size, mode='bicubic')
    return (smooth + 0.05 * torch.randn(n, 3, size, size)).clamp_(0, 1).mul_(255).byte()


def _batched(images: list[Tensor], draws: list[ColourDraws]) -> list[Tensor]:
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    return [
        augment_colours(view, drawn, mean=mean, std=std, radius=RADIUS)
        for view, drawn in zip(images, draws, strict=True)
    ]


def _torchvision(images: list[Tensor], draws: list[ColourDraws]) -> list[Tensor]:
    return [
        torch.stack([_torchvision_image(view[i], drawn, i) for i in range(len(view))])
        for view, drawn in zip(images, draws, strict=True)
    ]


def _torchvision_image(image: Tensor, draws: ColourDraws, row: int) -> Tensor:
    image = image.float() / 255
    sigma, threshold = draws.sigma[row].item(), draws.threshold[row].item()
    if sigma:
        image = tvf.gaussian_blur(image, [2 * RADIUS + 1] * 2, [sigma] * 2)
    for op in draws.order[row].tolist():
        if op >= 0:
            image = ADJUST[op](image, draws.factors[row, op].item())
    if draws.grayscale[row]:
        image = tvf.rgb_to_grayscale(image, 3)
    if threshold <= 1:
        image = tvf.solarize(image, threshold)
    return tvf.normalize(image, MEAN, STD)


def _pil(images: list[Tensor], draws: list[ColourDraws]) -> list[Tensor]:
    return [
        torch.stack(
            [_pil_image(Image.fromarray(pixels), drawn, i) for i, pixels in enumerate(arrays)]
        )
        for arrays, drawn in zip(map(_to_arrays, images), draws, strict=True)
    ]


def _to_arrays(view: Tensor) -> np.ndarray:
    return view.permute(0, 2, 3, 1).contiguous().numpy()


def _pil_image(image: Image.Image, draws: ColourDraws, row: int) -> Tensor:
    sigma, threshold = draws.sigma[row].item(), draws.threshold[row].item()
    if sigma:
        image = image.filter(ImageFilter.GaussianBlur(sigma))
    for op in draws.order[row].tolist():
        if op >= 0:
            image = ADJUST[op](image, draws.factors[row, op].item())
    if draws.grayscale[row]:
        image = tvf.to_grayscale(image, 3)
    if threshold <= 1:
        image = tvf.solarize(image, 255 * threshold)
    return tvf.normalize(tvf.to_tensor(image), MEAN, STD)

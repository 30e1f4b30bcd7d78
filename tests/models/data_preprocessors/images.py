"""Images that reach the corners of colour arithmetic, and torchvision's result for any draws."""

import torch
import torchvision.transforms.functional as tvf
from torch import Tensor

from mmdssl.models.data_preprocessors.colour_policy import ColourDraws

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ADJUST = (tvf.adjust_brightness, tvf.adjust_contrast, tvf.adjust_saturation, tvf.adjust_hue)


def images(n: int = 12, height: int = 37, width: int = 41, seed: int = 0) -> Tensor:
    """(n, 3, height, width) uint8; the first six are black, white, grey or full of ties."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int, below: int = 256) -> Tensor:
        return torch.randint(0, below, shape, generator=generator, dtype=torch.uint8)

    batch = random(n, 3, height, width)
    corners = [
        torch.zeros(3, height, width, dtype=torch.uint8),
        torch.full((3, height, width), 255, dtype=torch.uint8),
        random(1, height, width).expand(3, -1, -1),  # grey
        random(3, height, width, below=2) * 255,  # the eight corners of the colour cube
        random(3, height, width, below=3) * 127,  # two equal channels in many pixels
        random(3, height, width, below=2) + 127,  # around the solarise threshold, little chroma
    ]
    for row, corner in enumerate(corners[:n]):
        batch[row] = corner
    return batch


def reference(
    image: Tensor, draws: ColourDraws, row: int, *, radius: int, official: bool
) -> Tensor:
    """One uint8 image (3, H, W) with the parameters of a row, by torchvision, normalised."""
    image = image.float() / 255
    sigma, threshold = draws.sigma[row].item(), draws.threshold[row].item()

    def blur(image: Tensor) -> Tensor:
        size = 2 * radius + 1
        return tvf.gaussian_blur(image, [size, size], [sigma, sigma]) if sigma else image

    if official:
        image = blur(image)
    for op in draws.order[row].tolist():
        if op >= 0:
            image = ADJUST[op](image, draws.factors[row, op].item())
    if draws.grayscale[row]:
        image = tvf.rgb_to_grayscale(image, 3)
    if not official:
        image = blur(image)
    if threshold <= 1:
        image = tvf.solarize(image, threshold)
    return tvf.normalize(image, MEAN, STD)

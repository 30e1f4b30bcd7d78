"""Slight changes of colour before an evaluation: what the memory of in-context segmentation sees.

In training colours are changed for the whole batch, in the data preprocessor. This is for single
images that are only looked at.
"""

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from torchvision.transforms import functional

from mmdssl.datasets.transforms.mask_transform import parse_range
from mmdssl.datasets.transforms.random_streams import random_source
from mmdssl.registry import TRANSFORMS

__all__ = ['SlightColours']


@TRANSFORMS.register_module()
class SlightColours(BaseTransform):
    """Brightness, contrast, saturation and hue of ``results['img']``, each changed by chance.

    Factors are uniform in [1 - strength, 1 + strength], the turn of the hue in
    [-strength, strength] of a whole turn, as torchvision's ``ColorJitter`` draws them.

    Args:
        strength: Largest change, in [0, 0.5].
        prob: Probability of each of the four changes.
    """

    def __init__(self, *, strength: float = 0.1, prob: float = 0.5) -> None:
        self.strength = parse_range(strength, 'SlightColours: strength', high=0.5)[0]
        self.prob = parse_range(prob, 'SlightColours: prob')[0]

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change colours."""
        rng = random_source(None)
        image = torch.from_numpy(np.ascontiguousarray(results['img'])).permute(2, 0, 1)  # (3, H, W)
        for change, centre in (
            (functional.adjust_brightness, 1.0),
            (functional.adjust_contrast, 1.0),
            (functional.adjust_saturation, 1.0),
            (functional.adjust_hue, 0.0),
        ):
            chosen, share = rng.random(2)
            if chosen < self.prob:
                image = change(image, centre + self.strength * (2 * float(share) - 1))
        results['img'] = image.permute(1, 2, 0).numpy()  # (H, W, 3)
        return results

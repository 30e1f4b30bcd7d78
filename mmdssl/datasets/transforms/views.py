"""Crops, resizes and flips that take the boxes along.

All transforms read and write ``results['img']``, uint8 (H, W, 3) RGB (or of n
channels, uint8 or float32 in [0, 1]), and never
write into the pixels they were given, so any number of views can share one
decoded image. Each also keeps ``results['crop_box']`` (floats x1, y1, x2, y2 in
pixels of the source image) and ``results['flip']`` (horizontal, vertical; bool)
up to date: what part of the source image a view shows, and mirrored how.
"""

from collections.abc import Sequence
from math import exp, log, sqrt
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmcv.transforms import BaseTransform

from mmdssl.datasets.transforms.boxes import BOX_KEYS, move_boxes
from mmdssl.datasets.transforms.mask_transform import parse_range, parse_size
from mmdssl.datasets.transforms.random_streams import random_source
from mmdssl.datasets.transforms.region_collaborative_cutout import check_choice
from mmdssl.registry import TRANSFORMS

__all__ = [
    'RandomFlipWithBoxes',
    'RandomResizedCropWithBoxes',
    'ResizeWithBoxes',
    'resize_image',
]

_INTERPOLATIONS = ('bicubic', 'bilinear', 'nearest')


def resize_image(
    image: np.ndarray,
    size: tuple[int, int],
    interpolation: str = 'bicubic',
    antialias: bool = True,
) -> np.ndarray:
    """Resize an image the way Pillow does, up to rounding (a few grey levels, 0.02 on average).

    Args:
        image: (H, W, C), uint8 or float32 in [0, 1].
        size: (height, width) of the result.
        interpolation: ``'bicubic'``, ``'bilinear'`` or ``'nearest'``.
        antialias: widen the filter when shrinking, as Pillow always does.

    Returns:
        A new array of shape (height, width, C) and the same type and range.
    """
    # torch's uint8 kernel is several times faster than Pillow's.
    # (H, W, C) -> (1, C, H, W), the batch axis first: with strides that torch recognises as
    # channels-last it takes its kernel for interleaved RGB and gives the result interleaved.
    batch = np.ascontiguousarray(image)[None].transpose(0, 3, 1, 2)
    if interpolation == 'nearest':
        resized = F.interpolate(torch.from_numpy(batch), size=size, mode='nearest-exact')
    else:
        resized = F.interpolate(
            torch.from_numpy(batch),
            size=size,
            mode=interpolation,
            antialias=antialias,
            align_corners=False,
        )
        if resized.is_floating_point():
            resized.clamp_(0, 1)  # bicubic weights overshoot; the kernel for uint8 clips by itself
    return resized.numpy()[0].transpose(1, 2, 0)  # (1, C, h, w) -> (h, w, C)


def _window(
    results: dict[str, Any],
) -> tuple[tuple[float, float, float, float], tuple[bool, bool]]:
    """``crop_box`` and ``flip`` of an image, those of an untouched one where it has none."""
    height, width = results['img'].shape[:2]
    crop_box = results.get('crop_box', (0.0, 0.0, float(width), float(height)))
    return crop_box, results.get('flip', (False, False))


class _BoxTransform(BaseTransform):
    """Settings that the geometric transforms share."""

    def __init__(
        self,
        box_keys: Sequence[str],
        min_visible: float = 0.0,
        drop_empty: bool = False,
        stream: str | None = None,
    ) -> None:
        self.box_keys = tuple(box_keys)
        self.min_visible = parse_range(min_visible, f'{type(self).__name__}: min_visible')[0]
        self.drop_empty = drop_empty
        self.stream = stream

    def move(
        self,
        results: dict[str, Any],
        image: np.ndarray,
        scale: tuple[float, float],
        shift: tuple[float, float],
    ) -> dict[str, Any]:
        """Put ``image`` in place of the old one and move the boxes by scale and shift (x, y)."""
        height, width = image.shape[:2]
        move_boxes(
            results,
            keys=self.box_keys,
            scale=scale,
            shift=shift,
            size=(height, width),
            min_visible=self.min_visible,
            drop_empty=self.drop_empty,
        )
        results['img'] = image
        results['img_shape'] = (height, width)
        return results

    def __repr__(self) -> str:
        settings = ', '.join(f'{name}={value!r}' for name, value in vars(self).items())
        return f'{type(self).__name__}({settings})'


@TRANSFORMS.register_module()
class RandomResizedCropWithBoxes(_BoxTransform):
    """A random crop, resized; boxes move along.

    Samples as torchvision's ``RandomResizedCrop``: area uniform in ``scale`` as
    a share of the image, aspect ratio log-uniform in ``ratio``, position uniform
    over whole pixels; after ten crops that do not fit, the largest central crop
    with an aspect ratio within ``ratio``.

    Args:
        size: output ``n`` or (h, w) in pixels.
        scale: range of the crop's area, in (0, 1].
        ratio: range of the crop's width / height.
        interpolation: ``'bicubic'``, ``'bilinear'`` or ``'nearest'``.
        antialias: widen the filter when shrinking (Pillow's behaviour).
        box_keys: box sets to move; those not present are passed over.
        min_visible: a box of which a smaller share of the area lies inside the
            crop counts as empty; with 0 only a box wholly outside does.
        drop_empty: drop empty boxes; False keeps them as (0, 0, 0, 0), so that
            every view has as many boxes as the image.
        stream: name of an own random stream; None for the global one.

    Raises:
        ValueError: for settings out of range.
    """

    TRIES = 10
    MOST = 1.0  # of the area; what is above 1 fits no image and is drawn again

    def __init__(
        self,
        *,
        size: int | tuple[int, int],
        scale: tuple[float, float] = (0.14, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        interpolation: str = 'bicubic',
        antialias: bool = True,
        box_keys: Sequence[str] = BOX_KEYS,
        min_visible: float = 0.0,
        drop_empty: bool = True,
        stream: str | None = None,
    ) -> None:
        super().__init__(box_keys, min_visible, drop_empty, stream)
        self.size = parse_size(size, 'RandomResizedCropWithBoxes: size')
        self.scale = parse_range(scale, 'RandomResizedCropWithBoxes: scale', high=self.MOST)
        self.ratio = parse_range(ratio, 'RandomResizedCropWithBoxes: ratio', 1e-3, 1e3)
        self.interpolation = check_choice('interpolation', interpolation, _INTERPOLATIONS)
        self.antialias = antialias

    def sample(self, height: int, width: int) -> tuple[int, int, int, int]:
        """A crop (left, top, width, height) of an image of (height, width), whole pixels."""
        rng = random_source(self.stream)
        area = height * width
        log_low, log_high = log(self.ratio[0]), log(self.ratio[1])
        for _ in range(self.TRIES):
            share, shape, x, y = rng.random(4).tolist()
            target = area * (self.scale[0] + (self.scale[1] - self.scale[0]) * share)
            aspect = exp(log_low + (log_high - log_low) * shape)
            crop_width, crop_height = round(sqrt(target * aspect)), round(sqrt(target / aspect))
            if 0 < crop_width <= width and 0 < crop_height <= height:
                left = int(x * (width - crop_width + 1))
                top = int(y * (height - crop_height + 1))
                return left, top, crop_width, crop_height
        crop_width, crop_height = width, height
        if width / height < self.ratio[0]:
            crop_height = min(round(width / self.ratio[0]), height)
        elif width / height > self.ratio[1]:
            crop_width = min(round(height * self.ratio[1]), width)
        return (width - crop_width) // 2, (height - crop_height) // 2, crop_width, crop_height

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop, resize, move boxes."""
        return self.crop(results, self.sample(*results['img'].shape[:2]))

    def crop(self, results: dict[str, Any], window: tuple[int, int, int, int]) -> dict[str, Any]:
        """The same for a given crop (left, top, width, height)."""
        image = results['img']
        left, top, width, height = window
        results['crop_box'] = _crop_in_source(results, left, top, width, height)
        view = resize_image(
            image[top : top + height, left : left + width],
            self.size,
            self.interpolation,
            self.antialias,
        )
        scale = self.size[1] / width, self.size[0] / height
        return self.move(results, view, scale, (-left * scale[0], -top * scale[1]))


def _crop_in_source(
    results: dict[str, Any], left: int, top: int, width: int, height: int
) -> tuple[float, float, float, float]:
    """The part of the source image that a crop of the present image shows."""
    (x1, y1, x2, y2), (flip_x, flip_y) = _window(results)
    image_height, image_width = results['img'].shape[:2]
    if flip_x:
        left = image_width - left - width
    if flip_y:
        top = image_height - top - height
    per_x, per_y = (x2 - x1) / image_width, (y2 - y1) / image_height
    start_x, start_y = x1 + left * per_x, y1 + top * per_y
    return start_x, start_y, start_x + width * per_x, start_y + height * per_y


@TRANSFORMS.register_module()
class ResizeWithBoxes(_BoxTransform):
    """Squashes the whole image to a size; boxes move along. No box is ever dropped.

    Args:
        size: output ``n`` or (h, w) in pixels.
        interpolation: ``'bicubic'``, ``'bilinear'`` or ``'nearest'``.
        antialias: widen the filter when shrinking (Pillow's behaviour).
        box_keys: box sets to move; those not present are passed over.
    """

    def __init__(
        self,
        *,
        size: int | tuple[int, int],
        interpolation: str = 'bicubic',
        antialias: bool = True,
        box_keys: Sequence[str] = BOX_KEYS,
    ) -> None:
        super().__init__(box_keys)
        self.size = parse_size(size, 'ResizeWithBoxes: size')
        self.interpolation = check_choice('interpolation', interpolation, _INTERPOLATIONS)
        self.antialias = antialias

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize, move boxes."""
        image = results['img']
        results['crop_box'], results['flip'] = _window(results)
        scale = self.size[1] / image.shape[1], self.size[0] / image.shape[0]
        resized = resize_image(image, self.size, self.interpolation, self.antialias)
        return self.move(results, resized, scale, (0.0, 0.0))


@TRANSFORMS.register_module()
class RandomFlipWithBoxes(_BoxTransform):
    """Mirrors the image with a probability; boxes move along.

    Args:
        prob: probability in [0, 1].
        direction: ``'horizontal'`` or ``'vertical'``.
        box_keys: box sets to move; those not present are passed over.
        stream: name of an own random stream; None for the global one.
    """

    def __init__(
        self,
        *,
        prob: float = 0.5,
        direction: str = 'horizontal',
        box_keys: Sequence[str] = BOX_KEYS,
        stream: str | None = None,
    ) -> None:
        super().__init__(box_keys, stream=stream)
        self.prob = parse_range(prob, 'RandomFlipWithBoxes: prob')[0]
        self.direction = check_choice('direction', direction, ('horizontal', 'vertical'))

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Flip or not."""
        crop_box, (flip_x, flip_y) = _window(results)
        results['crop_box'], results['flip'] = crop_box, (flip_x, flip_y)
        if random_source(self.stream).random() >= self.prob:
            return results
        image = results['img']
        height, width = image.shape[:2]
        horizontal = self.direction == 'horizontal'
        results['flip'] = (not flip_x, flip_y) if horizontal else (flip_x, not flip_y)
        flipped = cv2.flip(np.ascontiguousarray(image), 1 if horizontal else 0)
        if horizontal:
            return self.move(results, flipped, (-1.0, 1.0), (float(width), 0.0))
        return self.move(results, flipped, (1.0, -1.0), (0.0, float(height)))

"""Image files of every kind a folder may hold, made on the spot from one small picture."""

import io

import cv2
import numpy as np
from PIL import Image


def picture() -> np.ndarray:
    """A smooth colourful picture, (48, 64, 3) uint8 RGB: JPEG hardly changes it."""
    seeds = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return cv2.resize(seeds, (64, 48), interpolation=cv2.INTER_CUBIC)


def alpha() -> np.ndarray:
    """Transparency (48, 64) uint8: opaque, half and fully transparent stripes."""
    values = np.full((48, 64), 255, np.uint8)
    values[:, 20:40] = 128
    values[:, 40:] = 0
    return values


def save(image: np.ndarray | Image.Image, kind: str, **options) -> bytes:
    """The bytes of a file written by Pillow."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned_exif() -> Image.Exif:
    """EXIF data that say: show this picture turned by 90 degrees clockwise."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def opencv(image: np.ndarray, ending: str) -> bytes:
    """The bytes of a file written by OpenCV (RGB or grey in, any sample type)."""
    if image.ndim == 3:
        image = image[..., ::-1]
    return cv2.imencode(ending, np.ascontiguousarray(image))[1].tobytes()

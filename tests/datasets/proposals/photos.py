"""Small pictures in which selective search finds proposals, and folders of them."""

from pathlib import Path

import cv2
import numpy as np


def photo(seed: int, height: int = 96, width: int = 128) -> np.ndarray:
    """A noisy ground with a few overlapping blocks, (height, width, 3) uint8 RGB."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), rng.integers(60, 120, 3))
    for _ in range(6):
        x, y = rng.integers(0, (width - 40, height - 40))
        w, h = rng.integers(34, 64, 2)
        image[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    noise = rng.integers(-6, 7, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def folder_of_photos(root: Path, number: int) -> Path:
    """``root/0.png``, ``root/sub/1.png``, ... in turn, each of its own."""
    (root / 'sub').mkdir(parents=True)
    for seed in range(number):
        path = root / ('sub' if seed % 2 else '') / f'{seed}.png'
        cv2.imwrite(str(path), photo(seed)[..., ::-1])
    return root

"""Looking at pictures that were written: both sides, and something in every quarter."""

from pathlib import Path

import numpy as np
from PIL import Image


def drawn(path: Path, *, width: int, height: int) -> np.ndarray:
    """The pixels of a picture of at least that size, none of whose quarters is one flat colour."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert('RGB'))
    found = pixels.shape[:2]
    assert found[0] >= height, found
    assert found[1] >= width, found
    for half in np.array_split(pixels, 2, axis=0):
        for quarter in np.array_split(half, 2, axis=1):
            assert (quarter != quarter[0, 0]).any(axis=2).mean() > 0.005
    return pixels


def differ(one: np.ndarray, two: np.ndarray) -> bool:
    """Whether two pictures show something else; what is the same data must look the same."""
    return one.shape != two.shape or (one != two).any(axis=2).mean() > 1e-3

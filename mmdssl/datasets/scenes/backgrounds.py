"""Patterns behind the objects.

Each takes the image's side in pixels and a random generator, and gives a plane (S, S) float32
of about -1..1. All are coarser or softer than the objects' textures, so that a background is a
background; sizes follow the image's side.
"""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ['BACKGROUNDS']

Plane = npt.NDArray[np.float32]


def _smooth_noise(size: int, cells: int, random: np.random.Generator) -> Plane:
    """Gaussian noise on a grid of ``cells`` a side, enlarged smoothly, of unit spread."""
    grid = random.standard_normal((cells + 2, cells + 2), np.float32)
    plane = cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
    return (plane / np.float32(max(plane.std(), 1e-3))).astype(np.float32)


def _axes(size: int, angle: float) -> tuple[Plane, Plane]:
    """Coordinates 0..1 along two axes turned by ``angle``."""
    line = np.arange(size, dtype=np.float32) / size
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along = c * line[None, :] + s * line[:, None]
    across = -s * line[None, :] + c * line[:, None]
    return along.astype(np.float32, copy=False), across.astype(np.float32, copy=False)


def _blobs(size: int, random: np.random.Generator) -> Plane:
    return np.tanh(2.5 * _smooth_noise(size, int(random.integers(4, 8)), random))


def _stripes(size: int, random: np.random.Generator) -> Plane:
    u, _ = _axes(size, random.uniform(0, np.pi))
    count = random.uniform(5, 11)
    return np.sin(np.float32(2 * np.pi * count) * u + np.float32(random.uniform(0, 2 * np.pi)))


def _noise(size: int, random: np.random.Generator) -> Plane:
    # Grains of about 2 pixels at 128: finer ones would vanish with the first resize.
    fine = _smooth_noise(size, max(16, int(size / random.uniform(1.8, 2.6))), random)
    return np.clip(0.55 * fine, -1, 1)


def _grid(size: int, random: np.random.Generator) -> Plane:
    planes = _axes(size, random.uniform(0, np.pi / 2))
    count = random.uniform(6, 10)
    shift = random.uniform(0, 1, 2)
    lines = [
        np.abs(np.mod(plane * np.float32(count) + np.float32(offset), 1.0) - 0.5)
        for plane, offset in zip(planes, shift, strict=True)
    ]
    # 0 in the middle of a line; lines take about a fifth of the period.
    return np.tanh(14 * (np.minimum(*lines) - 0.1)).astype(np.float32) * -1


#: Background kinds by name.
BACKGROUNDS: Mapping[str, Callable[[int, np.random.Generator], Plane]] = {
    'blobs': _blobs,
    'stripes': _stripes,
    'noise': _noise,
    'grid': _grid,
}

"""Textures of the objects: functions of the object's own coordinates.

Each takes u, v (pixels along the object's axes, from its centre, any shape, float32) and a
period in pixels, and gives values 0..1 between the dark and the light tone of the object.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

__all__ = ['TEXTURES']

Plane = npt.NDArray[np.float32]
_TWO_PI = np.float32(2 * np.pi)


def _edge(wave: Plane, sharpness: float = 3.0) -> Plane:
    """A wave of -1..1 to soft-edged bands of 0..1."""
    return 0.5 + 0.5 * np.tanh(sharpness * wave)


def _striped(u: Plane, v: Plane, period: float) -> Plane:
    return _edge(np.sin(_TWO_PI / period * u))


def _checked(u: Plane, v: Plane, period: float) -> Plane:
    # A check reads as coarse as a stripe when its fields are wider than a stripe's half period.
    wave = _TWO_PI / (1.5 * period)
    return _edge(np.sin(wave * u) * np.sin(wave * v), 6.0)


def _dotted(u: Plane, v: Plane, period: float) -> Plane:
    wave = _TWO_PI / (1.2 * period)
    return _edge(np.cos(wave * u) + np.cos(wave * v) - 0.55, 2.5)


def _ringed(u: Plane, v: Plane, period: float) -> Plane:
    return _edge(np.cos(_TWO_PI / period * np.sqrt(u * u + v * v)))


def _zigzag(u: Plane, v: Plane, period: float) -> Plane:
    ramp = np.abs(np.mod(v / (2.2 * period), 1.0) - 0.5) * 4 - 1  # triangle wave of -1..1
    return _edge(np.sin(_TWO_PI / period * (u + 0.55 * period * ramp)))


def _plain(u: Plane, v: Plane, period: float) -> Plane:
    return np.full_like(u, 0.6)


#: Textures by name.
TEXTURES: Mapping[str, Callable[[Plane, Plane, float], Plane]] = {
    'striped': _striped,
    'checked': _checked,
    'dotted': _dotted,
    'ringed': _ringed,
    'zigzag': _zigzag,
    'plain': _plain,
}

"""Outlines of the objects: unit shapes of equal area around the origin."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

__all__ = ['SHAPES']

#: One closed outline (P, 2) of x, y; a ring has a second one, its hole (even-odd rule).
Outline = tuple[npt.NDArray[np.float64], ...]


def _circle(points: int, radius: float = 1.0, turn: float = 0.0) -> npt.NDArray[np.float64]:
    angle = 2 * np.pi * (np.arange(points) + turn) / points
    return radius * np.stack([np.sin(angle), -np.cos(angle)], axis=1)


def _star(points: int, inner: float) -> npt.NDArray[np.float64]:
    outline = _circle(2 * points)
    outline[1::2] *= inner
    return outline


def _cross(arm: float) -> npt.NDArray[np.float64]:
    quarter = np.array([[arm, -1], [arm, -arm], [1, -arm]])  # the corners right of the top
    turn = np.array([[0, 1], [-1, 0]])
    corners = [quarter @ np.linalg.matrix_power(turn, k) for k in range(4)]
    return np.concatenate(corners)


def _heart() -> npt.NDArray[np.float64]:
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x, -y], axis=1) / 16


def _crescent() -> npt.NDArray[np.float64]:
    t = np.linspace(-2.2, 2.2, 32)  # outer arc, opening to the left
    outer = np.stack([np.cos(t), np.sin(t)], axis=1)
    tip = outer[-1]
    centre = -0.62
    radius = np.hypot(tip[0] - centre, tip[1])
    end = np.arctan2(tip[1], tip[0] - centre)
    s = np.linspace(end, -end, 24)[1:-1]
    inner = np.stack([centre + radius * np.cos(s), radius * np.sin(s)], axis=1)
    return np.concatenate([outer, inner])


def _area(outline: npt.NDArray[np.float64]) -> float:
    x, y = outline.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def _normalised(*outlines: npt.NDArray[np.float64]) -> Outline:
    """Centred, and scaled to an area of 1 (the hole taken off)."""
    centre = (outlines[0].min(axis=0) + outlines[0].max(axis=0)) / 2
    area = _area(outlines[0]) - sum(_area(hole) for hole in outlines[1:])
    return tuple((outline - centre) / np.sqrt(area) for outline in outlines)


#: Shapes by name, each of area 1.
SHAPES: Mapping[str, Outline] = {
    'disc': _normalised(_circle(48)),
    'square': _normalised(_circle(4, turn=0.5)),
    'triangle': _normalised(_circle(3)),
    'hexagon': _normalised(_circle(6)),
    'star': _normalised(_star(5, inner=0.45)),
    'cross': _normalised(_cross(arm=0.34)),
    'ring': _normalised(_circle(48), _circle(40, radius=0.5)),
    'heart': _normalised(_heart()),
    'crescent': _normalised(_crescent()),
}

"""Which objects stand where: everything about a scene but its pixels.

A layout takes a small part of the time of a picture, so an interrupted run draws the layouts of
finished pictures again for their annotations and skips the rest.
"""

from dataclasses import dataclass
from typing import cast
from zlib import crc32

import cv2
import numpy as np
import numpy.typing as npt

from mmdssl.datasets.scenes.shapes import SHAPES
from mmdssl.datasets.scenes.spec import SceneSpec

__all__ = ['Layout', 'SceneObject', 'draw_layout', 'scene_generator']

_TRIES = 40  # places to try for one object
_SHRINK = 0.94  # a little smaller at each further try, so that crowded scenes fill up as asked
_FINE = 4  # samples a pixel and axis for soft edges
_SUBPIXEL = 4  # binary digits of OpenCV's fixed-point coordinates
_IN_IMAGE = 0.6  # share of an object's area that lies inside the image at least
_MIN_PIXELS = 24  # visible area below which an object has no shape to recognise


@dataclass(frozen=True)
class SceneObject:
    """One placed object.

    Attributes:
        label: Index into ``SceneSpec.classes``.
        shape: Name of the shape.
        centre: (x, y) in pixels.
        scale: Root of the area in pixels.
        stretch: Width over height before the turn.
        angle: Turn in radians.
        box: Half-open pixel range (x1, y1, x2, y2) that the outline touches, in the image.
        alpha: Share of each pixel of ``box`` that the object covers, (h, w) uint8.
    """

    label: int
    shape: str
    centre: tuple[float, float]
    scale: float
    stretch: float
    angle: float
    box: tuple[int, int, int, int]
    alpha: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Layout:
    """The objects of a scene, from back to front.

    Attributes:
        background: Index of the background kind.
        objects: The objects.
        owner: (S, S) int16, index of the object visible at each pixel, -1 for background.
    """

    background: int
    objects: tuple[SceneObject, ...]
    owner: npt.NDArray[np.int16]

    def mask(self, index: int) -> npt.NDArray[np.bool_]:
        """Visible part of one object, (S, S) bool."""
        return self.owner == index

    def semantic(self) -> npt.NDArray[np.uint8]:
        """Label map (S, S) uint8: 0 background, 1..C the class of the visible object."""
        labels = np.array([*(o.label + 1 for o in self.objects), 0], np.uint8)
        return labels[self.owner]  # -1 takes the last entry, 0


def scene_generator(spec: SceneSpec, split: str, index: int, part: str) -> np.random.Generator:
    """Random numbers of one part of one scene, independent of every other scene and part."""
    key = [spec.seed, crc32(split.encode()), index, crc32(part.encode())]
    return np.random.default_rng(key)


def draw_layout(spec: SceneSpec, split: str, index: int) -> Layout:
    """Place the objects of scene ``index`` of ``split``.

    Args:
        spec: Parameters of the set.
        split: ``'train'`` or ``'val'``, any name: each has scenes of its own.
        index: Number of the scene, from 0.

    Returns:
        The layout, a function of the arguments alone.
    """
    random = scene_generator(spec, split, index, 'layout')
    background = int(random.integers(len(spec.backgrounds)))
    owner = np.full((spec.size, spec.size), -1, np.int16)
    objects: list[SceneObject] = []
    areas: list[int] = []  # in the image, if nothing stood in front
    visible: list[int] = []
    for _ in range(int(random.integers(spec.objects[0], spec.objects[1] + 1))):
        label = _draw_class(spec, background, random)
        shape = spec.classes[label].shape or spec.shapes[int(random.integers(len(spec.shapes)))]
        scale = spec.size * np.exp(random.uniform(*np.log(spec.scale)))
        for _ in range(_TRIES):
            candidate = _place(spec, label, shape, scale, random)
            scale *= _SHRINK
            x1, y1, x2, y2 = candidate.box
            mask = candidate.alpha > 127
            area = int(np.count_nonzero(mask))
            if area < max(_MIN_PIXELS, _IN_IMAGE * candidate.scale**2):
                continue
            # What every earlier object would lose; index -1 (background) counts as number 0.
            region = owner[y1:y2, x1:x2]
            lost = np.bincount(region[mask] + 1, minlength=len(objects) + 1)[1:]
            left = np.asarray(visible, int) - lost
            if (left < np.maximum(spec.min_visible * np.asarray(areas), _MIN_PIXELS)).any():
                continue
            region[mask] = len(objects)
            visible = [*left.tolist(), area]
            areas.append(area)
            objects.append(candidate)
            break
    return Layout(background, tuple(objects), owner)


def _draw_class(spec: SceneSpec, background: int, random: np.random.Generator) -> int:
    """With probability ``context_bias`` a class tied to the background, else any class."""
    if random.random() < spec.context_bias:
        group = spec.groups[background]
        return group[int(random.integers(len(group)))]
    return int(random.integers(len(spec.classes)))


def _place(
    spec: SceneSpec, label: int, shape: str, scale: float, random: np.random.Generator
) -> SceneObject:
    """Draw position, turn and proportions, and rasterise the outline with soft edges."""
    x, y = random.uniform(0.06, 0.94, 2) * spec.size
    stretch, angle = np.exp(random.uniform(-0.18, 0.18)), random.uniform(-np.pi, np.pi)
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, s], [-s, c]])
    proportions = scale * np.array([np.sqrt(stretch), 1 / np.sqrt(stretch)])
    outlines = [(part * proportions) @ turn + (x, y) for part in SHAPES[shape]]
    x1, y1 = np.clip(np.floor(outlines[0].min(axis=0)).astype(int) - 1, 0, spec.size - 1)
    x2, y2 = np.clip(np.ceil(outlines[0].max(axis=0)).astype(int) + 1, 1, spec.size)
    # OpenCV's own soft edges widen an outline by half a pixel: draw large and shrink instead.
    # Integer coordinates are pixel centres to OpenCV, hence the half.
    points = [
        np.round(((o - (x1, y1)) * _FINE - 0.5) * 2**_SUBPIXEL).astype(np.int32) for o in outlines
    ]
    large = np.zeros(((y2 - y1) * _FINE, (x2 - x1) * _FINE), np.uint8)
    cv2.fillPoly(large, points, 255, cv2.LINE_8, _SUBPIXEL)
    alpha = cv2.resize(large, (int(x2 - x1), int(y2 - y1)), interpolation=cv2.INTER_AREA)
    return SceneObject(
        label=label,
        shape=shape,
        centre=(float(x), float(y)),
        scale=float(scale),
        stretch=float(stretch),
        angle=float(angle),
        box=(int(x1), int(y1), int(x2), int(y2)),
        alpha=cast(npt.NDArray[np.uint8], alpha),
    )

"""From a layout to pixels: background, then the objects from back to front."""

import cv2
import numpy as np
import numpy.typing as npt

from mmdssl.datasets.scenes.backgrounds import BACKGROUNDS
from mmdssl.datasets.scenes.layout import Layout, SceneObject, scene_generator
from mmdssl.datasets.scenes.spec import HUES, SceneSpec
from mmdssl.datasets.scenes.textures import TEXTURES

__all__ = ['render']

_HUE_SPREAD = 8.0  # degrees; colours of a class differ a little, classes stay apart
_SENSOR_NOISE = 1.5  # standard deviation in grey levels


def render(spec: SceneSpec, layout: Layout, split: str, index: int) -> npt.NDArray[np.uint8]:
    """Paint a layout.

    Args:
        spec: Parameters of the set.
        layout: What `draw_layout` gave for the same ``split`` and ``index``.
        split: Name of the split.
        index: Number of the scene.

    Returns:
        (S, S, 3) uint8 RGB, a function of the arguments alone.
    """
    random = scene_generator(spec, split, index, 'pixels')
    canvas = _paint_background(spec, layout.background, random)
    light = random.uniform(0, 2 * np.pi)  # one direction of light for the whole scene
    for item in layout.objects:
        _paint_object(spec, canvas, item, light, random)
    canvas += _SENSOR_NOISE * random.standard_normal(canvas.shape, np.float32)
    return np.clip(canvas + 0.5, 0, 255).astype(np.uint8)


def _paint_background(
    spec: SceneSpec, kind: int, random: np.random.Generator
) -> npt.NDArray[np.float32]:
    """(S, S, 3) float32, 0..255: the pattern between two tones of one muted colour."""
    pattern = BACKGROUNDS[spec.backgrounds[kind]](spec.size, random)
    middle = _rgb(
        random.uniform(0, 360), random.uniform(0, spec.saturation), random.uniform(0.4, 0.7)
    )
    # The two tones differ in lightness and slightly in colour, as those of real surfaces do.
    tint = np.ones(3, np.float32) + random.uniform(-0.25, 0.25, 3).astype(np.float32)
    return middle + (255 * spec.contrast) * pattern[..., None] * tint


def _paint_object(
    spec: SceneSpec,
    canvas: npt.NDArray[np.float32],
    item: SceneObject,
    light: float,
    random: np.random.Generator,
) -> None:
    """Blend one object into the canvas, in place."""
    entry = spec.classes[item.label]
    x1, y1, x2, y2 = item.box
    x = np.arange(x1, x2, dtype=np.float32)[None, :] + np.float32(0.5 - item.centre[0])
    y = np.arange(y1, y2, dtype=np.float32)[:, None] + np.float32(0.5 - item.centre[1])
    c, s = np.float32(np.cos(item.angle)), np.float32(np.sin(item.angle))
    # About 6 pixels at 128 and not below 4: visible after the usual crops and resizes.
    period = max(4.0, 0.05 * spec.size) * random.uniform(0.9, 1.2)
    pattern = TEXTURES[entry.texture](c * x + s * y, c * y - s * x, period)

    name = entry.hue or spec.hues[int(random.integers(len(spec.hues)))]
    hue = HUES[name] + random.uniform(-_HUE_SPREAD, _HUE_SPREAD)
    dark = _rgb(hue, random.uniform(0.75, 0.95), random.uniform(0.35, 0.5))
    bright = _rgb(hue, random.uniform(0.45, 0.7), random.uniform(0.88, 1.0))
    colour = dark + pattern[..., None] * (bright - dark)
    # Lambert-like shading across the object, so that it stands out from flat ground.
    slope = (np.cos(light) * x + np.sin(light) * y) / np.float32(item.scale)
    colour *= (1 + np.float32(0.22) * np.clip(slope, -1, 1))[..., None]
    # A darker rim: pixels whose neighbourhood is not wholly covered.
    inner = cv2.erode(item.alpha, np.ones((3, 3), np.uint8), borderValue=255)
    colour *= (0.55 + 0.45 / 255 * inner.astype(np.float32))[..., None]

    alpha = item.alpha.astype(np.float32)[..., None] / 255
    region = canvas[y1:y2, x1:x2]
    region += alpha * (colour - region)


def _rgb(hue: float, saturation: float, value: float) -> npt.NDArray[np.float32]:
    """HSV (degrees, 0..1, 0..1) to RGB 0..255, (3,) float32."""
    sector = (np.array([5.0, 3.0, 1.0]) + hue / 60) % 6
    channel = value - value * saturation * np.clip(np.minimum(sector, 4 - sector), 0, 1)
    return (255 * channel).astype(np.float32)

"""What a set of scenes consists of: classes, backgrounds, sizes, and how strongly they go together.

A class is a combination of shape, texture and colour. The classes fall into as many groups as
there are kinds of background, each group tied to one kind. The context bias ``b`` mixes two
draws of an object's class: with probability ``b`` from the group of the background, else from
all classes. So at ``b = 0`` an object tells nothing about background and neighbours; at
``b = 1`` everything in an image belongs to one group.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from mmdssl.datasets.scenes.backgrounds import BACKGROUNDS
from mmdssl.datasets.scenes.shapes import SHAPES
from mmdssl.datasets.scenes.textures import TEXTURES

__all__ = ['HUES', 'PRESETS', 'SceneClass', 'SceneSpec']

#: Colours by name, in degrees on the HSV circle.
HUES: Mapping[str, float] = {
    'red': 0.0,
    'yellow': 52.0,
    'green': 125.0,
    'cyan': 180.0,
    'blue': 222.0,
    'violet': 280.0,
    'pink': 325.0,
}


@dataclass(frozen=True)
class SceneClass:
    """One class of objects.

    Attributes:
        name: Such as ``'striped_star'`` or ``'red_striped'``.
        shape: Name of the shape; None where any shape may occur.
        texture: Name of the texture.
        hue: Name of the colour; None where each object has a colour of its own.
        group: Index of the kind of background the class is tied to.
    """

    name: str
    shape: str | None
    texture: str
    hue: str | None
    group: int


@dataclass(frozen=True, kw_only=True)
class SceneSpec:
    """Parameters of a set of scenes; everything in an image follows from them and its index.

    Attributes:
        size: Side of the square images in pixels.
        seed: Seed of the set.
        objects: Fewest and most objects in an image.
        context_bias: 0 none .. 1 always; see the module.
        class_by: ``'shape'``: classes are shape x texture and each texture has its own colour, so
            that colour and texture tell half of the class and the shape the other half.
            ``'hue'``: classes are colour x texture, and shapes vary within a class.
            ``'form'``: classes are shape x texture, and each object draws its colour from all
            ``hues``, so that colour tells nothing of the class.
        shapes: Names of shapes.
        textures: Names of object textures.
        hues: Names of colours; with ``class_by='shape'`` the i-th texture has the i-th colour.
        backgrounds: Names of background kinds.
        scale: Smallest and largest size of an object, the root of its area as a share of ``size``.
        min_visible: Share of an object's area that others leave visible at least.
        contrast: Amplitude of the background's pattern, 0..0.5 of the full range.
        saturation: Largest saturation of the background's colour, 0..1.
    """

    size: int = 128
    seed: int = 0
    objects: tuple[int, int] = (3, 8)
    context_bias: float = 0.5
    class_by: str = 'shape'
    shapes: tuple[str, ...] = ('disc', 'triangle', 'star', 'cross')
    textures: tuple[str, ...] = ('striped', 'checked', 'dotted', 'ringed')
    hues: tuple[str, ...] = ('red', 'green', 'blue', 'yellow', 'violet', 'cyan', 'pink')
    backgrounds: tuple[str, ...] = ('blobs', 'stripes', 'noise', 'grid')
    scale: tuple[float, float] = (0.16, 0.38)
    min_visible: float = 0.4
    contrast: float = 0.16
    saturation: float = 0.3

    def __post_init__(self) -> None:
        _check_names('shape', self.shapes, SHAPES)
        _check_names('texture', self.textures, TEXTURES)
        _check_names('hue', self.hues, HUES)
        _check_names('background', self.backgrounds, BACKGROUNDS)
        if self.size < 32:
            raise ValueError(f'scenes need at least 32 pixels a side, got {self.size}')
        if self.seed < 0:
            raise ValueError(f'the seed must not be negative, got {self.seed}')
        if not 1 <= self.objects[0] <= self.objects[1]:
            raise ValueError(f'objects must be (fewest, most) from 1 on, got {self.objects}')
        if not 0 <= self.context_bias <= 1:
            raise ValueError(f'context_bias must lie in 0..1, got {self.context_bias}')
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f'scale must be (smallest, largest) in 0..1, got {self.scale}')
        if not 0 < self.min_visible <= 1:
            raise ValueError(f'min_visible must lie in 0..1, above 0, got {self.min_visible}')
        if self.class_by not in ('shape', 'hue', 'form'):
            raise ValueError(f"class_by must be 'shape', 'hue' or 'form', got {self.class_by!r}")
        if self.class_by == 'shape' and len(self.hues) < len(self.textures):
            raise ValueError(
                f'{len(self.textures)} textures need a colour each, got {len(self.hues)} hues'
            )
        if len(self.classes) < len(self.backgrounds):
            raise ValueError(
                f'{len(self.classes)} classes are too few for {len(self.backgrounds)} kinds of '
                'background, each of which needs one: add shapes or textures'
            )

    @cached_property
    def classes(self) -> tuple[SceneClass, ...]:
        """All classes; label ``i`` of the written files is ``classes[i - 1]``."""
        first = self.hues if self.class_by == 'hue' else self.shapes
        classes: list[SceneClass] = []
        for (i, outer), (j, texture) in product(enumerate(first), enumerate(self.textures)):
            # A Latin square, where it reaches every kind: neither axis alone tells the group.
            latin = max(len(first), len(self.textures)) >= len(self.backgrounds)
            group = (i + j if latin else len(classes)) % len(self.backgrounds)
            if self.class_by == 'hue':
                entry = SceneClass(f'{outer}_{texture}', None, texture, outer, group)
            else:
                hue = self.hues[j] if self.class_by == 'shape' else None
                entry = SceneClass(f'{texture}_{outer}', outer, texture, hue, group)
            classes.append(entry)
        return tuple(classes)

    @cached_property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Indices of the classes tied to each kind of background."""
        return tuple(
            tuple(i for i, entry in enumerate(self.classes) if entry.group == group)
            for group in range(len(self.backgrounds))
        )

    def as_dict(self) -> dict[str, Any]:
        """The parameters as json would give them back."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in dataclasses.asdict(self).items()
        }


#: Named settings: ``default``; ``miniature``, the setting in which a small ViT shows the effect of
#: de-coupling within minutes (quiet backgrounds, few objects, colour carries the class); ``demo``:
#: small pictures of few, large objects, whose classes a small CNN learns within minutes.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    'default': {},
    'demo': {
        'size': 96,
        'objects': (1, 3),
        'shapes': ('disc', 'star'),
        'scale': (0.3, 0.5),
        'contrast': 0.08,
        'saturation': 0.1,
    },
    'miniature': {
        'size': 96,
        'objects': (2, 4),
        'context_bias': 0.5,
        'class_by': 'hue',
        'shapes': ('disc', 'square', 'triangle', 'hexagon'),
        'textures': ('striped', 'checked', 'dotted'),
        'hues': ('red', 'yellow', 'green', 'blue'),
        'scale': (0.2, 0.42),
        'contrast': 0.06,
        'saturation': 0.15,
    },
}


def _check_names(kind: str, names: tuple[str, ...], known: Mapping[str, Any]) -> None:
    if not names:
        raise ValueError(f'at least one {kind} is needed')
    if len(set(names)) < len(names):
        raise ValueError(f'a {kind} is named twice: {" ".join(names)}')
    for name in names:
        if name not in known:
            raise ValueError(f'there is no {kind} {name!r}: choose from {" ".join(known)}')

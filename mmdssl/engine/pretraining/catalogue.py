"""Shipped configs by method and backbone, as their file names say.

``{method}_{backbone}_{processes}xb{batch}-{schedule}_{data}.py``: a config that is added is found
here without being entered anywhere.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from mmdssl.core.shipped import shipped
from mmdssl.core.wording import listed

__all__ = ['Shipped', 'continued', 'known_methods', 'named', 'shipped_configs', 'variants']

_NAME = re.compile(
    r'(?P<method>[^_]+)_(?P<backbone>.+)_(?P<processes>\d+)xb(?P<batch>\d+)'
    r'-(?P<schedule>[^_]+)_(?P<data>[^_]+)'
)
# Folders of other things than pre-training.
_OTHER = ('_base_', 'transfer', 'object_knn')
# Of several published lengths the one of the papers' main tables.
_LENGTH = '800e'
# Data of the small partners, photos before drawn scenes.
_SMALL = ('coco-mini', 'scenes')


@dataclass(frozen=True)
class Shipped:
    """A config of this package, as its name says it.

    Attributes:
        path: Of the file.
        method: E.g. ``'ibot-d'``.
        backbone: E.g. ``'vit-small-p16'``.
        processes: Processes it was published for.
        batch: Images of each.
        schedule: E.g. ``'coslr-800e'``.
        data: E.g. ``'coco'``.
    """

    path: Path
    method: str
    backbone: str
    processes: int
    batch: int
    schedule: str
    data: str

    @property
    def small(self) -> bool:
        """Made for minutes on a CPU."""
        return self.data in _SMALL

    @property
    def continues(self) -> bool:
        """Goes on from a backbone that somebody has trained, on a folder of photos."""
        return self.path.parent.name == 'posttrain'

    @property
    def title(self) -> str:
        """Folder and file."""
        return f'{self.path.parent.name}/{self.path.name}'


def parsed(path: Path) -> Shipped | None:
    """What the name of a config says; None if it is not named by the rule."""
    found = _NAME.fullmatch(path.stem)
    if found is None:
        return None
    method, backbone, processes, batch, schedule, data = found.groups()
    return Shipped(path, method, backbone, int(processes), int(batch), schedule, data)


@cache
def shipped_configs() -> tuple[Shipped, ...]:
    """All configs of pre-training."""
    folder = shipped('configs')
    files = (
        path
        for path in sorted(folder.rglob('*.py'))
        if not set(path.relative_to(folder).parts) & set(_OTHER)
    )
    return tuple(one for one in map(parsed, files) if one is not None)


def known_methods() -> list[str]:
    """Methods by name."""
    return sorted({one.method for one in shipped_configs() if one.data == 'coco' or one.continues})


def continued(method: str) -> list[Shipped]:
    """The configs of a method that go on from a given backbone, one a backbone."""
    return [one for one in shipped_configs() if one.method == method and one.continues]


def variants(method: str) -> list[Shipped]:
    """The configs of a method: the published one of each backbone, then the small one.

    Of a method that only goes on from a given backbone, these.

    Raises:
        ValueError: If there is no such method; the sentence names the methods.
    """
    own = [one for one in shipped_configs() if one.method == method]
    published = [one for one in own if one.data == 'coco']
    if not published and continued(method):
        return continued(method)
    if not published:
        known = known_methods()
        near = get_close_matches(method, known, n=1)
        hint = f' (is {near[0]} meant?)' if near else ''
        raise ValueError(
            f'there is no method {method!r}{hint}: give one of {", ".join(known)}, or a config file'
        )
    chosen: dict[str, Shipped] = {}
    for one in sorted(published, key=lambda one: (_LENGTH not in one.schedule, one.schedule)):
        chosen.setdefault(one.backbone, one)
    small = sorted((one for one in own if one.small), key=lambda one: _SMALL.index(one.data))
    for one in small[:1]:
        chosen.setdefault(one.backbone, one)
    return list(chosen.values())


def named(candidates: list[Shipped], backbone: str) -> Shipped | None:
    """The config whose backbone is called so, with or without its patch size; None for none."""
    fitting = (
        one
        for one in candidates
        if one.backbone == backbone or one.backbone.startswith(f'{backbone}-')
    )
    return next(fitting, None)


def known_backbones(candidates: list[Shipped]) -> str:
    """The backbones of some configs, for a sentence."""
    return listed([one.backbone for one in candidates])

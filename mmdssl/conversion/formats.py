"""Kinds of files of other code, and where the networks stand in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from mmdssl.conversion.key_maps import Dialect
from mmdssl.core.locating import keys_of, networks_in, only_tensors, tensors

__all__ = ['FORMATS', 'Format', 'flat_state']

# Wrappers around the tensors in files of other code, tried in this order.
_WRAPPERS = ('state_dict', 'model')
_NETWORKS = ('student', 'teacher')


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        dialect: Its names in :mod:`mmdssl.conversion.key_maps`.
        families: Architectures it may hold.
        places: Alternatives in order of preference, each a list of (prefix in the
            file, prefix in ours); an alternative holds if all its prefixes occur.
        prefix: What exports put before the names; None if there are none.
    """

    dialect: Dialect
    families: tuple[str, ...]
    places: tuple[tuple[tuple[str, str], ...], ...]
    prefix: str | None = None


def _at(*prefixes: str) -> tuple[tuple[tuple[str, str], ...], ...]:
    return tuple(((prefix, 'backbone.'),) for prefix in prefixes)


# Training checkpoints hold both networks, published ones the teacher alone or its bare backbone.
_DISTILLED = (
    (('student.backbone.', 'backbone.'), ('teacher.backbone.', 'teacher.backbone.')),
    *_at('teacher.backbone.', 'student.backbone.', 'backbone.', ''),
)
_OPENMMLAB = Format('mmpretrain', ('vit', 'resnet'), _at('backbone.'), prefix='backbone.')

#: Every kind of file, for ``--from`` and ``--to``.
FORMATS: dict[str, Format] = {
    'ibot': Format('official', ('vit',), _DISTILLED),
    'dino': Format('official', ('vit', 'resnet'), _DISTILLED),
    # A training checkpoint (OpenSelfSup), or the backbone extracted from one.
    'densecl': Format('official', ('resnet',), _at('encoder_q.0.', 'backbone.', '')),
    'moco': Format('official', ('resnet',), _at('encoder_q.')),
    'soco': Format('official', ('resnet',), _at('encoder.')),
    'timm': Format('timm', ('vit', 'resnet'), _at(''), prefix=''),
    'torchvision': Format('torchvision', ('vit', 'resnet'), _at(''), prefix=''),
    'mmpretrain': _OPENMMLAB,
    'mmdet': _OPENMMLAB,
    'mmseg': _OPENMMLAB,
}


def flat_state(content: Any, path: str | Path) -> dict[str, Tensor]:
    """Tensors of a file of other code; two networks in it become ``student.`` and ``teacher.``.

    Raises:
        ValueError: If there are no tensors.
    """
    if isinstance(content, Mapping):
        networks = {
            f'{network}.{name}': value
            for network in _NETWORKS
            if isinstance(content.get(network), Mapping)
            for name, value in only_tensors(content[network]).items()
        }
        if networks:
            return networks
        for wrapper in _WRAPPERS:
            if isinstance(content.get(wrapper), Mapping):
                return tensors(content[wrapper], path)
        if not only_tensors(content):
            return _only_state(content, path)
    return tensors(content, path)


def _only_state(content: Mapping, path: str | Path) -> dict[str, Tensor]:
    """The state dict of a file that has just one, under whatever key.

    Raises:
        ValueError: If there is none, or several: which one is meant is not ours to guess.
    """
    found = networks_in(content)
    if len(found) > 1:
        raise ValueError(
            f'{path} holds {len(found)} state dicts, under {", ".join(found)}: save the one that '
            'is meant alone, with torch.save'
        )
    if not found:
        raise ValueError(f'{path} holds no tensors ({keys_of(content)}): it is no file of weights')
    return tensors(next(iter(found.values())), path)

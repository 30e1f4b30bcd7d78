"""Kinds of files of other code, and where the networks stand in them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from mmdssl.conversion.key_maps import FAMILIES, Dialect
from mmdssl.core.locating import keys_of, networks_in, only_tensors, tensors

__all__ = ['FORMATS', 'Format', 'flat_state']

# What wrappers of modules put into names: torch.compile, FSDP.
_INSERTED = ('_orig_mod.', '_fsdp_wrapped_module.')
_SHARD = re.compile(r'(?:^|\.)_?flat_param(?:_\d+)?$')
# DINOv2 in chunks: the second number counts through the whole network.
_CHUNK = re.compile(r'(^|\.)blocks\.\d+\.(\d+\.)')
# Wrappers around the tensors in files of other code, tried in this order.
_WRAPPERS = ('state_dict', 'model')
_NETWORKS = ('student', 'teacher')


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        dialects: Its names in :mod:`mmdssl.conversion.key_maps`; of several, those that fit.
        families: Architectures it may hold.
        places: Alternatives in order of preference, each a list of (prefix in the
            file, prefix in ours); an alternative holds if all its prefixes occur.
        prefix: What exports put before the names; None if there are none.
    """

    dialects: tuple[Dialect, ...]
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
_OPENMMLAB = Format(('mmpretrain',), FAMILIES, _at('backbone.'), prefix='backbone.')
# Of training, under 'teacher' beside the heads; or the published backbone.
_DINO_FILES = _at('teacher.backbone.', 'teacher.', 'backbone.', '')

#: Every kind of file, for ``--from`` and ``--to``.
FORMATS: dict[str, Format] = {
    'dinov2': Format(('dinov2',), ('vit',), _DINO_FILES, prefix=''),
    'dinov3': Format(('dinov3',), ('vit', 'convnext'), _DINO_FILES, prefix=''),
    'hf': Format(('hf2', 'hf3'), ('vit', 'convnext'), _at(''), prefix=''),
    'ibot': Format(('official',), ('vit',), _DISTILLED),
    'dino': Format(('official',), ('vit', 'resnet'), _DISTILLED),
    # A training checkpoint (OpenSelfSup), or the backbone extracted from one.
    'densecl': Format(('official',), ('resnet',), _at('encoder_q.0.', 'backbone.', '')),
    'moco': Format(('official',), ('resnet',), _at('encoder_q.')),
    'soco': Format(('official',), ('resnet',), _at('encoder.')),
    'timm': Format(('timm', 'timm3'), FAMILIES, _at(''), prefix=''),
    'torchvision': Format(('torchvision',), ('vit', 'resnet'), _at(''), prefix=''),
    'mmpretrain': _OPENMMLAB,
    'mmdet': _OPENMMLAB,
    'mmseg': _OPENMMLAB,
}


def flat_state(content: Any, path: str | Path) -> dict[str, Tensor]:
    """Tensors of a file of other code; two networks in it become ``student.`` and ``teacher.``.

    What wrappers of modules put into names is taken out, and blocks in chunks are numbered as
    without.

    Raises:
        ValueError: If there are no tensors, or those of one process of several.
    """
    return _plain_names(_wrapped_state(content, path), path)


def _plain_names(state: Mapping[str, Tensor], path: str | Path) -> dict[str, Tensor]:
    if any(_SHARD.search(name) for name in state):
        raise ValueError(
            f'{path} is the shard of one process of a training with FSDP (its tensors are called '
            'flat_param), not a network: use the file of the whole teacher that the same code '
            'writes (teacher_checkpoint.pth)'
        )
    lightning = 'model.' if all(name.startswith('model.') for name in state) else ''
    plain: dict[str, Tensor] = {}
    for name, value in state.items():
        own = name.removeprefix(lightning)
        for inserted in _INSERTED:
            own = own.replace(inserted, '')
        own = _CHUNK.sub(r'\1blocks.\2', own.removeprefix('module.'))
        if own in plain:
            raise ValueError(f'{path} holds two tensors {own!r}, one of them as {name!r}')
        plain[own] = value
    return plain


def _wrapped_state(content: Any, path: str | Path) -> dict[str, Tensor]:
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

"""Where a network stands in a checkpoint: in ours, and in those of other code."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mmdssl.conversion.key_maps import Dialect
from mmdssl.engine.checkpointing import EVALUATED_KEY

__all__ = ['FORMATS', 'SHARED_HEAD', 'Format', 'Source', 'find', 'flat_state', 'named', 'tensors']

Source = Literal['auto', 'teacher', 'student']

# Where the backbone of our checkpoints may stand, in order of preference.
_PREFIXES: dict[str, tuple[str, ...]] = {
    'auto': ('teacher.backbone.', 'backbone.', ''),  # where a checkpoint does not say itself
    'teacher': ('teacher.backbone.',),
    'student': ('backbone.',),
}
#: Where mmdet's C4 detectors hold the last stage of a ResNet.
SHARED_HEAD = 'roi_head.shared_head.'
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


def _only_tensors(content: Mapping) -> dict[str, Tensor]:
    """Tensors by name, also of NumPy arrays, without the prefix of DistributedDataParallel."""
    return {
        str(name).removeprefix('module.'): torch.as_tensor(value)
        for name, value in content.items()
        if isinstance(value, Tensor)
        or (isinstance(value, np.ndarray) and value.dtype.kind in 'biuf' and value.ndim)
    }


def _networks_in(content: Mapping) -> dict[str, Mapping]:
    """State dicts that lie in a file, by the path of keys to each."""
    found: dict[str, Mapping] = {}
    for name, value in content.items():
        if not isinstance(value, Mapping):
            continue
        if _only_tensors(value) and all(isinstance(key, str) for key in value):
            found[str(name)] = value
        else:
            found |= {f'{name}.{inner}': state for inner, state in _networks_in(value).items()}
    return found


def tensors(content: Any, path: str | Path) -> dict[str, Tensor]:
    """Tensors of one of our checkpoints by name.

    Args:
        content: What was saved: a state dict, or a dict with one under ``state_dict``.
        path: Of the file, for messages.

    Raises:
        ValueError: If there are no tensors.
    """
    if isinstance(content, Mapping) and isinstance(content.get('state_dict'), Mapping):
        content = content['state_dict']
    if not isinstance(content, Mapping):
        raise ValueError(f'{path} holds a {type(content).__name__}, not a state dict')
    state = _only_tensors(content)
    if not state:
        networks = _networks_in(content)
        if not networks:
            raise ValueError(
                f'{path} holds no tensors ({_keys(content)}): it is no file of weights'
            )
        raise ValueError(
            f'{path} holds no tensors under state_dict or at its top, but under '
            f'{", ".join(networks)}: a file of another project is converted first: '
            'tools/convert.py import FILE --from ...'
        )
    return state


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
            for name, value in _only_tensors(content[network]).items()
        }
        if networks:
            return networks
        for wrapper in _WRAPPERS:
            if isinstance(content.get(wrapper), Mapping):
                return tensors(content[wrapper], path)
        if not _only_tensors(content):
            return _only_state(content, path)
    return tensors(content, path)


def _only_state(content: Mapping, path: str | Path) -> dict[str, Tensor]:
    """The state dict of a file that has just one, under whatever key.

    Raises:
        ValueError: If there is none, or several: which one is meant is not ours to guess.
    """
    found = _networks_in(content)
    if len(found) > 1:
        raise ValueError(
            f'{path} holds {len(found)} state dicts, under {", ".join(found)}: save the one that '
            'is meant alone, with torch.save'
        )
    if not found:
        raise ValueError(f'{path} holds no tensors ({_keys(content)}): it is no file of weights')
    return tensors(next(iter(found.values())), path)


def _keys(content: Mapping) -> str:
    return f'its keys: {", ".join(map(str, content))[:200]}' if content else 'it is empty'


def named(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries under a prefix, without it."""
    return {n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)}


def find(content: Any, path: str | Path, source: Source) -> tuple[str, dict[str, Tensor]]:
    """The backbone of one of our checkpoints.

    Args:
        content: What was saved.
        path: Of the file, for messages.
        source: 'teacher', 'student', or 'auto': the one that the checkpoint says is the
            method's to keep; where it says nothing, the teacher if there is one, else what
            stands under ``backbone.``, else the whole file.

    Returns:
        The prefix, e.g. ``'teacher.backbone.'``, and the tensors under it, without it.

    Raises:
        ValueError: If there are no tensors or no such backbone.
    """
    state = tensors(content, path)
    if source == 'auto':
        source = _kept(content)
    prefixes = _PREFIXES[source]
    prefix = next((p for p in prefixes if any(name.startswith(p) for name in state)), None)
    if prefix is None:
        raise ValueError(
            f'{path} has no {source} backbone: no name starts with {prefixes[0]!r}, they start '
            f'with {sorted({name.split(".")[0] for name in state})[:8]}'
        )
    return prefix, named(state, prefix)


def _kept(content: Any) -> Source:
    """The backbone that a checkpoint of this package says is the one to keep."""
    meta = content.get('meta') if isinstance(content, Mapping) else None
    kept = meta.get(EVALUATED_KEY) if isinstance(meta, Mapping) else None
    return kept if kept in ('teacher', 'student') else 'auto'

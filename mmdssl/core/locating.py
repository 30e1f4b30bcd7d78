"""Where a network stands in a checkpoint of ours, and which of its tensors all features need."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from mmdssl.core.checkpointing import EVALUATED_KEY

__all__ = [
    'SHARED_HEAD',
    'Source',
    'essential',
    'find',
    'keys_of',
    'named',
    'networks_in',
    'only_tensors',
    'tensors',
]

Source = Literal['auto', 'teacher', 'student']

# Where the backbone of our checkpoints may stand, in order of preference.
_PREFIXES: dict[str, tuple[str, ...]] = {
    'auto': ('teacher.backbone.', 'backbone.', ''),  # where a checkpoint does not say itself
    'teacher': ('teacher.backbone.',),
    'student': ('backbone.',),
}
#: Where mmdet's C4 detectors hold the last stage of a ResNet.
SHARED_HEAD = 'roi_head.shared_head.'
# What every feature depends on, few values though they are: the tensors of these parts.
_ESSENTIAL = ('cls_token', 'pos_embed', 'patch_embed', 'conv1')


def only_tensors(content: Mapping) -> dict[str, Tensor]:
    """Tensors by name, also of NumPy arrays, without the prefix of DistributedDataParallel."""
    return {
        str(name).removeprefix('module.'): torch.as_tensor(value)
        for name, value in content.items()
        if isinstance(value, Tensor)
        or (isinstance(value, np.ndarray) and value.dtype.kind in 'biuf' and value.ndim)
    }


def networks_in(content: Mapping) -> dict[str, Mapping]:
    """State dicts that lie in a file, by the path of keys to each."""
    found: dict[str, Mapping] = {}
    for name, value in content.items():
        if not isinstance(value, Mapping):
            continue
        if only_tensors(value) and all(isinstance(key, str) for key in value):
            found[str(name)] = value
        else:
            found |= {f'{name}.{inner}': state for inner, state in networks_in(value).items()}
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
    state = only_tensors(content)
    if not state:
        networks = networks_in(content)
        if not networks:
            raise ValueError(
                f'{path} holds no tensors ({keys_of(content)}): it is no file of weights'
            )
        raise ValueError(
            f'{path} holds no tensors under state_dict or at its top, but under '
            f'{", ".join(networks)}: a file of another project is converted first: '
            'mmdssl convert import FILE --from ...'
        )
    return state


def keys_of(content: Mapping) -> str:
    """The keys at the top of a file, for messages."""
    return f'its keys: {", ".join(map(str, content))[:200]}' if content else 'it is empty'


def essential(names: Iterable[str]) -> list[str]:
    """Those of a backbone's tensors, by name, without which none of its features means anything."""
    return [name for name in names if name.split('.')[0] in _ESSENTIAL]


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

"""A checkpoint for others: weights and where they come from, under a name that proves them."""

import hashlib
import io
from pathlib import Path
from typing import Any, Literal

import torch

from mmdssl.conversion.metadata import origin
from mmdssl.core.checkpoint_format import without_paths
from mmdssl.core.checkpointing import EVALUATED_KEY, atomic_file, to_plain
from mmdssl.core.locating import tensors
from mmdssl.core.reading import load_checkpoint_file
from mmdssl.core.weight_values import check_finite

__all__ = ['Keep', 'publish']

Keep = Literal['all', 'auto', 'teacher', 'student']

_TEACHER = 'teacher.'


def publish(path: str | Path, folder: str | Path, *, keep: Keep = 'all') -> Path:
    """Write a checkpoint without what only its own run needs.

    Optimizer, schedules, message hub and random states go; of ``meta`` stay progress,
    versions, which backbone is evaluated, and the config without absolute paths. The
    file works for ``load_from`` (not for ``--resume``), evaluation and export.

    Args:
        path: Checkpoint of a run.
        folder: Where the file is put, as ``<name>-<first 8 hex digits of its SHA-256>.pth``.
        keep: 'all' of the model, which is what further training needs; only the 'teacher'
            or the 'student' with their necks and heads; 'auto': the evaluation one.

    Returns:
        The file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds no tensors, NaN or Inf, or not the network that was asked for.
    """
    path = Path(path)
    content = load_checkpoint_file(path)
    state = tensors(content, path)
    old = content.get('meta') if 'state_dict' in content else None
    old = old if isinstance(old, dict) else {}
    meta: dict[str, Any] = origin(content)
    if isinstance(old.get('cfg'), str):
        meta['cfg'] = without_paths(old['cfg'])
    if old.get(EVALUATED_KEY) in ('teacher', 'student'):
        meta[EVALUATED_KEY] = old[EVALUATED_KEY]
    if keep == 'auto':
        both = any(name.startswith(_TEACHER) for name in state)
        keep = meta.get(EVALUATED_KEY, 'teacher' if both else 'student')
    if keep != 'all':
        wanted = keep == 'teacher'
        state = {n: v for n, v in state.items() if n.startswith(_TEACHER) == wanted}
        if not any(name.startswith((f'{_TEACHER}backbone.', 'backbone.')) for name in state):
            raise ValueError(f'{path} has no {keep} backbone: choose another network to keep')
        meta[EVALUATED_KEY] = keep
    check_finite(state, path)
    # Into memory first: written to a path, the bytes would hold the name of the file.
    buffer = io.BytesIO()
    torch.save(to_plain(dict(meta=meta, state_dict=state)), buffer)
    digest = hashlib.sha256(buffer.getbuffer()).hexdigest()[:8]
    target = Path(folder) / f'{path.stem}-{digest}.pth'
    with atomic_file(target) as temporary:
        temporary.write_bytes(buffer.getbuffer())
    return target

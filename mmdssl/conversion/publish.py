"""A checkpoint for others: weights and where they come from, under a name that proves them."""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from mmdssl.conversion.files import write_weights
from mmdssl.conversion.hub_card import hub_card
from mmdssl.conversion.metadata import origin
from mmdssl.core.checkpoint_format import without_paths
from mmdssl.core.checkpointing import EVALUATED_KEY, atomic_file, atomic_text, to_plain
from mmdssl.core.hub import check_name, check_reachable, local_file, upload
from mmdssl.core.locating import tensors
from mmdssl.core.reading import load_checkpoint_file
from mmdssl.core.weight_values import check_finite
from mmdssl.core.wording import listed

__all__ = ['Keep', 'publish', 'publish_to_hub']

Keep = Literal['all', 'auto', 'teacher', 'student']

_TEACHER = 'teacher.'
_FILES = ('model.safetensors', 'README.md')


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
    state, meta = stripped(path, keep=keep)
    # Into memory first: written to a path, the bytes would hold the name of the file.
    buffer = io.BytesIO()
    torch.save(to_plain(dict(meta=meta, state_dict=state)), buffer)
    digest = hashlib.sha256(buffer.getbuffer()).hexdigest()[:8]
    target = Path(folder) / f'{local_file(path).stem}-{digest}.pth'
    with atomic_file(target) as temporary:
        temporary.write_bytes(buffer.getbuffer())
    return target


def publish_to_hub(
    path: str | Path,
    folder: str | Path,
    repository: str,
    *,
    licence: str,
    measured: Mapping[str, float] | None = None,
    keep: Keep = 'all',
    private: bool = False,
) -> str:
    """Put a checkpoint on the Hugging Face hub: safetensors, and a page that says what they are.

    Args:
        path: Checkpoint of a run.
        folder: Where the files are made, ``model.safetensors`` and ``README.md``; nothing else
            may lie there, because all of it is uploaded.
        repository: ``ORG/NAME``.
        licence: Of the weights, by the hub's word for it, such as ``'apache-2.0'``.
        measured: Numbers by name, measured with these weights. None: the page says that there
            are none.
        keep: See :func:`publish`.
        private: Whether a new repository is for its owner alone.

    Returns:
        Where the files are now.

    Raises:
        FileNotFoundError: If there is no such file.
        ModuleNotFoundError: If huggingface_hub is not installed.
        OSError: If the hub does not take them.
        ValueError: See :func:`publish`; or the name, the folder or a number is none that can be
            used.
    """
    folder = Path(folder)
    check_name(repository)
    check_reachable()
    strange = [p.name for p in folder.iterdir() if p.name not in _FILES] if folder.is_dir() else []
    if strange:
        raise ValueError(
            f'{folder} holds {listed(sorted(strange), 3)}, and all of it would be uploaded: give '
            'an empty folder'
        )
    state, meta = stripped(path, keep=keep)
    page = hub_card(repository, state, meta, licence=licence, measured=measured)
    weights, readme = (folder / name for name in _FILES)
    write_weights(state, meta, weights)
    atomic_text(page, readme)
    return upload(folder, repository, private=private, message=f'Weights of {repository}')


def stripped(path: str | Path, *, keep: Keep) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and ``meta`` of a checkpoint, without what only its own run needs."""
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
    return state, meta

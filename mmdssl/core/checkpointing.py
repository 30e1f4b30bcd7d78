"""Checkpoint files: plain data, written so that no moment leaves a broken file, read safely.

A checkpoint holds tensors, numbers, strings and containers of these, so that
``torch.load(weights_only=True)`` reads it: nothing in it is code. It is written
under a temporary name and renamed when it lies on the disk whole. Reading
(:mod:`mmdssl.core.reading`) refuses everything else.
"""

import os
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

__all__ = [
    'EVALUATED_KEY',
    'atomic_file',
    'atomic_save',
    'atomic_text',
    'remove_leftovers',
    'to_plain',
]

#: Entry of a checkpoint's ``meta`` that names the backbone to keep, 'teacher' or 'student'.
EVALUATED_KEY = 'evaluated_backbone'


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that becomes ``path`` when the block ends well.

    The file is on the disk before it takes the name, so after a crash or a power
    cut ``path`` is either the old file or the new one. If the block fails, the
    temporary file is removed and ``path`` is untouched.

    Args:
        path: Final path; missing folders are made.

    Yields:
        The path to write to.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        yield temporary
        with temporary.open('rb') as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = os.fspath(path)  # a full disk does not say of which file
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Bring a rename to the disk; without it a power cut may undo the new name."""
    if os.name != 'posix':
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def atomic_save(data: Any, path: str | Path) -> None:
    """``torch.save(data, path)`` that leaves the old file or the new one, never half of it."""
    with atomic_file(path) as temporary:
        torch.save(data, temporary)


def atomic_text(text: str, path: str | Path) -> None:
    """Write a small text file in the same way."""
    with atomic_file(path) as temporary:
        # Names within it are bytes and need not be UTF-8.
        temporary.write_text(text, encoding='utf-8', errors='surrogateescape')


def remove_leftovers(folder: str | Path, *names: str) -> None:
    """Delete what killed processes have left of :func:`atomic_file`.

    Args:
        folder: Where, held by a lock: nobody else is writing these files.
        names: Of the final files; patterns of ``glob`` are allowed.
    """
    for name in names:
        for leftover in Path(folder).glob(f'.{name}.*.tmp'):
            if leftover.name.split('.')[-2].isdigit():
                leftover.unlink(missing_ok=True)


def to_plain(value: Any, *, path: str = 'checkpoint', dropped: list[str] | None = None) -> Any:
    """A copy of nested data in which ``torch.load(weights_only=True)`` finds nothing to refuse.

    Tensors come to the CPU, detached and without the unused rest of their storage;
    NumPy arrays become tensors, NumPy scalars numbers, paths strings, sets sorted
    lists, mappings ``dict`` (``OrderedDict`` stays, with the version numbers of a
    state dict).

    Args:
        value: What to convert.
        path: Name of ``value`` in messages.
        dropped: Where names of entries that cannot be converted are added, the
            entries being left out. None: such an entry is an error.

    Raises:
        TypeError: For data of other kinds, if ``dropped`` is None.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return _builtin(value)
    if isinstance(value, torch.Tensor):
        tensor = value.detach().cpu()
        whole = tensor.untyped_storage().nbytes() == tensor.nbytes
        return torch.as_tensor(tensor if whole else tensor.clone())
    if isinstance(value, np.generic):
        return to_plain(value.item(), path=path, dropped=dropped)
    if isinstance(value, np.ndarray) and value.dtype.kind in 'biuf':
        return torch.from_numpy(np.ascontiguousarray(value).copy())
    if isinstance(value, np.ndarray):
        return to_plain(value.tolist(), path=path, dropped=dropped)
    if isinstance(value, Mapping):
        return _plain_mapping(value, path, dropped)
    if isinstance(value, tuple | list | deque | set | frozenset):
        entries = sorted(value) if isinstance(value, set | frozenset) else value
        converted = _plain_entries(enumerate(entries), path, dropped)
        values = [entry for _, entry in converted]
        return tuple(values) if isinstance(value, tuple) else values
    if isinstance(value, Path):
        return str(value)
    raise TypeError(
        f'{path} is a {type(value).__name__}, which a checkpoint cannot hold; keep tensors, '
        'numbers, strings or lists and dicts of these'
    )


def _builtin(value: Any) -> Any:
    """Subclasses of the built-in types (an IntEnum, a str of NumPy) as the type itself."""
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def _plain_mapping(value: Mapping, path: str, dropped: list[str] | None) -> dict:
    entries = _plain_entries(value.items(), path, dropped)
    if not isinstance(value, OrderedDict):
        return dict(entries)
    ordered = OrderedDict(entries)
    metadata = getattr(value, '_metadata', None)  # a state dict's versions of its modules
    if metadata is not None:
        ordered._metadata = to_plain(metadata, path=path)  # type: ignore[attr-defined]
    return ordered


def _plain_entries(items: Any, path: str, dropped: list[str] | None) -> Iterator[tuple[Any, Any]]:
    """Converted (key, value) pairs; what cannot be converted is named in ``dropped``."""
    for key, entry in items:
        name = f'{path}[{key!r}]'
        try:
            converted = (
                to_plain(key, path=f'key {name}'),
                to_plain(entry, path=name, dropped=dropped),
            )
        except TypeError:
            if dropped is None:
                raise
            dropped.append(name)
            continue
        yield converted

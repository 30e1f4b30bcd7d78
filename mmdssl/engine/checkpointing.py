"""Checkpoint files: plain data, written so that no moment leaves a broken file, read safely.

A checkpoint holds tensors, numbers, strings and containers of these, so that
``torch.load(weights_only=True)`` reads it: nothing in it is code. It is written
under a temporary name and renamed when it lies on the disk whole. Reading refuses
everything else; mmengine's own loader falls back to unpickling whatever is in the
file, which runs code chosen by whoever made the file.
"""

import os
import pickle
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
import torch
from mmengine.dist import barrier, is_main_process
from mmengine.runner import CheckpointLoader

__all__ = [
    'atomic_file',
    'atomic_save',
    'atomic_text',
    'install_safe_loading',
    'load_checkpoint_file',
    'to_plain',
]

_numpy_core = getattr(np, '_core', None) or np.core  # numpy 2 renamed it
#: Entry of a checkpoint's ``meta`` that names the backbone to keep, 'teacher' or 'student'.
EVALUATED_KEY = 'evaluated_backbone'

# Classes that only hold numbers. Files of other packages keep NumPy scalars in 'meta'.
_HARMLESS = (
    np.ndarray,
    np.dtype,
    _numpy_core.multiarray._reconstruct,
    _numpy_core.multiarray.scalar,
    *{type(np.dtype(kind)) for kind in '?bBhHiIlLqQefdU'},
)


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
        if isinstance(error, OSError) and error.filename is None:
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


def load_checkpoint_file(
    path: str | Path, *, map_location: Any = 'cpu', allow: tuple[type, ...] = ()
) -> Any:
    """Read a checkpoint without running code that may be hidden in it.

    Args:
        path: Local file of ``torch.save``; ``.safetensors`` come as ``dict(meta, state_dict)``.
        map_location: As in ``torch.load``.
        allow: Further classes the file may hold, e.g. ``argparse.Namespace`` in
            files of the official iBOT and DINO code.

    Returns:
        What was saved.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, or holds anything but plain data.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'no checkpoint at {path}')
    if path.suffix == '.safetensors':
        return _load_safetensors(path, map_location)
    try:
        with torch.serialization.safe_globals([*_HARMLESS, *allow]):
            return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f'{path} holds more than plain data ({_culprit(error)}) and is not loaded, because '
            'unpickling it could run code; if you trust its origin, keep only its weights: '
            "torch.save(torch.load(path, weights_only=False)['state_dict'], 'weights.pth')"
        ) from error
    except (RuntimeError, EOFError, OSError) as error:
        raise ValueError(
            f'{path} is not a readable checkpoint ({str(error).splitlines()[0]}); it may be cut '
            'off: copy it again or use an older one'
        ) from error


def _load_safetensors(path: Path, map_location: Any) -> dict:
    """Tensors and the texts beside them; the format cannot hold anything else."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework='pt') as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            meta = dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f'{path} is not a readable safetensors file ({str(error).splitlines()[0]}); it may be '
            'cut off: copy it again'
        ) from error
    if map_location is not None and not callable(map_location):
        state = {name: value.to(map_location) for name, value in state.items()}
    return dict(meta=meta, state_dict=state)


def _culprit(error: Exception) -> str:
    """The class torch.load objects to, out of its long message."""
    words = str(error).replace('`', ' ').split()
    for before, word in pairwise(words):
        if before.lower() == 'global' and '.' in word:
            return word
    return str(error).splitlines()[0]


def _load_from_local(filename: str, map_location: Any) -> Any:
    """mmengine's loader of local files, made safe."""
    return load_checkpoint_file(filename, map_location=map_location)


def _load_from_http(filename: str, map_location: Any = None, model_dir: str | None = None) -> Any:
    """mmengine's loader of URLs, made safe: fetch the file, then read it as a local one."""
    folder = Path(model_dir or Path(torch.hub.get_dir()) / 'checkpoints')
    target = folder / Path(urlparse(filename).path).name
    if is_main_process() and not target.exists():
        with atomic_file(target) as temporary:
            torch.hub.download_url_to_file(filename, str(temporary), progress=False)
    barrier()
    return load_checkpoint_file(target, map_location=map_location)


def install_safe_loading() -> None:
    """Make mmengine's checkpoint loading in this process refuse unsafe files.

    Covers ``Runner.resume``, ``load_from`` and ``init_cfg=dict(type='Pretrained')``
    for local files and URLs. ``SafeCheckpointHook`` and the tools call it.
    """
    CheckpointLoader.register_scheme('', _load_from_local, force=True)
    CheckpointLoader.register_scheme(('http://', 'https://'), _load_from_http, force=True)


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

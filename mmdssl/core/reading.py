"""Reading of checkpoints: plain data only, whole files only, and a sentence about all others.

A pickle can run code, and mmengine's own loader falls back to unpickling whatever is in a file.
Here ``torch.load(weights_only=True)`` reads, in a version of torch where that is safe, with
stand-ins for the few classes that files of OpenMMLab hold. What is no checkpoint is named
(:mod:`mmdssl.core.file_kind`), and a zip archive must have its check sums.
"""

import pickle
from collections.abc import Mapping
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from mmdssl.compat import require_safe_loading
from mmdssl.core.file_kind import foreign_kind, is_safetensors, is_zip, zip_damage
from mmdssl.core.hub import local_file

__all__ = ['load_checkpoint_file', 'plain_only', 'refusal']

require_safe_loading()

_numpy_core = getattr(np, '_core', None) or np.core  # numpy 2 renamed it
_STATISTICS = ('min', 'max', 'current', 'mean')


class _History(HistoryBuffer):
    """Stands in for mmengine's curve of a scalar, whose own loading takes functions from a file."""

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        values, counts = state.get('_log_history'), state.get('_count_history')
        if not (isinstance(values, np.ndarray) and isinstance(counts, np.ndarray)):
            raise pickle.UnpicklingError('global mmengine.logging.HistoryBuffer without arrays')
        self._log_history, self._count_history = values, counts
        self.max_length = int(state.get('max_length', 1000000))
        self._set_default_statistics()
        self.__class__ = HistoryBuffer  # written again, it is mmengine's


def _statistic(owner: Any, name: Any) -> Any:
    """Stands in for ``getattr``, which files with :class:`HistoryBuffer` call for its methods."""
    if owner is _History and name in _STATISTICS:
        return getattr(HistoryBuffer, name)
    raise pickle.UnpicklingError('global builtins.getattr was used')


# What only holds numbers. Files of other packages keep NumPy scalars and histories in 'meta'.
_HARMLESS: tuple[Any, ...] = (
    slice,
    np.ndarray,
    np.dtype,
    _numpy_core.multiarray._reconstruct,
    _numpy_core.multiarray.scalar,
    *{type(np.dtype(kind)) for kind in '?bBhHiIlLqQefdU'},
    (_History, 'mmengine.logging.history_buffer.HistoryBuffer'),
    (_statistic, 'builtins.getattr'),
)


_SHARDED = (
    'a folder of torch.distributed.checkpoint, whose files hold shards: make one file of it with '
    'torch.distributed.checkpoint.format_utils.dcp_to_torch_save(FOLDER, FILE)'
)


def load_checkpoint_file(
    path: str | Path,
    *,
    map_location: Any = 'cpu',
    allow: tuple[type, ...] = (),
    lazy: bool = False,
) -> Any:
    """Read a checkpoint without running code that may be hidden in it.

    Args:
        path: File of ``torch.save``, or safetensors, which come as ``dict(meta, state_dict)``; the
            content decides, not the name. Or one of the hub, ``hf://ORG/NAME``.
        map_location: As in ``torch.load``.
        allow: Further classes the file may hold, e.g. ``argparse.Namespace`` in
            files of the official iBOT and DINO code.
        lazy: Tensors are read from the disk when they are used, and check sums are not
            compared: for a look at what else the file holds.

    Returns:
        What was saved.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If the hub does not give it.
        ValueError: If the file is no checkpoint, is damaged, or holds anything but plain data.
    """
    path = local_file(path)
    noun = 'safetensors file' if path.suffix == '.safetensors' else 'checkpoint'
    _check_there(path)
    try:
        kind = foreign_kind(path)
        damage = None if lazy or kind else zip_damage(path)
    except OSError as error:
        raise ValueError(f'{path} cannot be read ({error.strerror})') from error
    if kind is not None:
        raise ValueError(f'{path} is no {noun}: it is {kind}')
    if damage is not None:
        raise ValueError(_damaged(path, noun, damage))
    if is_safetensors(path):
        return _load_safetensors(path, map_location)
    try:
        with plain_only(*allow):
            return torch.load(
                path,
                map_location=map_location,
                weights_only=True,
                mmap=True if lazy and is_zip(path) else None,
            )
    except torch.OutOfMemoryError:
        raise
    except pickle.UnpicklingError as error:
        raise ValueError(refusal(path, error)) from None  # torch advises to unpickle
    except Exception as error:  # a damaged pickle leads to errors of any kind
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        if 'weights_only' in said:
            what = 'it has a format that cannot be read safely: save it again with a current torch'
            raise ValueError(f'{path} is not a readable {noun}: {what}') from None
        raise ValueError(_damaged(path, noun, f'it may be cut off or damaged ({said})')) from error


def plain_only(*allow: type) -> AbstractContextManager:
    """A context in which ``torch.load(weights_only=True)`` knows what holds mere numbers."""
    return torch.serialization.safe_globals([*_HARMLESS, *allow])


def refusal(path: str | Path, error: pickle.UnpicklingError) -> str:
    """The sentence about a file that torch does not unpickle."""
    culprit = _culprit(error)
    if culprit is None:
        return _damaged(path, 'checkpoint', 'it is cut off, damaged, or not of torch.save')
    if culprit.startswith('torch.distributed'):
        return (
            f'{path} is the shard of one process of a distributed training ({culprit}), not a '
            'whole network: gather it with the code that wrote it, and save plain tensors'
        )
    return (
        f'{path} holds more than plain data ({culprit}) and is not loaded, because unpickling it '
        'could run code: ask its maker for the weights alone, as a plain state_dict or as '
        'safetensors'
    )


def _check_there(path: Path) -> None:
    if path.is_file():
        if path.suffix == '.distcp':
            raise ValueError(f'{path.parent} is {_SHARDED}')
        return
    if path.is_dir():
        if (path / '.metadata').is_file() or any(path.glob('*.distcp')):
            raise ValueError(f'{path} is {_SHARDED}')
        raise FileNotFoundError(f'no checkpoint at {path}, which is a folder: give a file in it')
    if path.is_symlink():
        raise FileNotFoundError(
            f'no checkpoint at {path}: it is a link to {path.readlink()}, which is not there'
        )
    raise FileNotFoundError(f'no checkpoint at {path}')


def _damaged(path: str | Path, noun: str, what: str) -> str:
    return f'{path} is not a readable {noun}: {what}; copy it again or use an older one'


def _load_safetensors(path: Path, map_location: Any) -> dict:
    """Tensors and the texts beside them; the format cannot hold anything else."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework='pt') as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            meta = dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        what = f'it may be cut off ({str(error).splitlines()[0]})'
        raise ValueError(_damaged(path, 'safetensors file', what)) from error
    if map_location is not None and not callable(map_location):
        state = {name: value.to(map_location) for name, value in state.items()}
    return dict(meta=meta, state_dict=state)


def _culprit(error: Exception) -> str | None:
    """The class torch.load objects to, out of its long message; None if it names none."""
    words = str(error).replace('`', ' ').split()
    for before, word in pairwise(words):
        if before == 'GLOBAL' or (before == 'global' and '.' in word):
            return word
    objects = ('call reduce', 'create new object', 'can only build')
    return 'an object' if any(text in str(error).lower() for text in objects) else None

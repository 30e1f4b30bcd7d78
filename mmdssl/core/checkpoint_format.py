"""What a checkpoint of a run holds, as plain data and without paths of the machine.

mmengine stores objects (its ``HistoryBuffer``) and the text of the whole config
with every path in it. :func:`pack` turns such a checkpoint into plain data, and
:func:`unpack` into what mmengine's ``resume`` expects. Nothing in a checkpoint is
ever evaluated.
"""

import os
import re
from pathlib import PurePath
from typing import Any

import torch
from mmengine.logging import HistoryBuffer

from mmdssl.core.checkpointing import to_plain
from mmdssl.version import __version__

__all__ = ['pack', 'unpack', 'without_paths']

# A quoted absolute path (POSIX, home, or Windows) with at least one folder in it.
_QUOTED_PATH = re.compile(r"""(['"])(?:/|~/|[A-Za-z]:[\\/])[^'"\n]*?([^'"\\/\n]*)[\\/]?\1""")


def without_paths(text: str) -> str:
    """A config text in which quoted absolute paths are cut down to their last part."""
    return _QUOTED_PATH.sub(r'\1\2\1', text)


def pack(checkpoint: dict) -> list[str]:
    """Make a checkpoint of mmengine's ``Runner`` plain, in place.

    Weights and optimizer states must be plain already; of the rest (meta data,
    message hub, schedulers) entries that cannot be stored are left out.

    Args:
        checkpoint: What the hooks get in ``before_save_checkpoint``.

    Returns:
        Names of the entries left out.

    Raises:
        TypeError: If weights or optimizer states hold other data than tensors,
            numbers, strings and containers.
    """
    meta, hub = checkpoint['meta'], checkpoint['message_hub']
    meta = checkpoint['meta'] = _without_folders(meta)  # the data set's meta has its data_root
    meta['cfg'] = without_paths(meta.get('cfg', ''))
    meta['mmdssl_version'], meta['torch_version'] = __version__, str(torch.__version__)
    hub['log_scalars'] = {
        name: dict(values=history[0], counts=history[1], max_length=buffer.max_length)
        for name, buffer in hub['log_scalars'].items()
        for history in [buffer.data]
    }
    # The hub has the whole config once more, as text.
    hub['runtime_info'] = {
        name: _without_folders(value)
        for name, value in hub['runtime_info'].items()
        if name != 'cfg'
    }
    dropped: list[str] = []
    for name in list(checkpoint):
        strict = name in ('state_dict', 'optimizer')
        checkpoint[name] = to_plain(
            checkpoint[name], path=name, dropped=None if strict else dropped
        )
    hub = checkpoint['message_hub']
    kept = {*hub['log_scalars'], *hub['runtime_info']}
    hub['resumed_keys'] = {key: on for key, on in hub['resumed_keys'].items() if key in kept}
    return dropped


def unpack(checkpoint: dict) -> None:
    """Turn what :func:`pack` wrote into what mmengine reads, in place.

    Also takes checkpoints of other origin. ``meta['config']`` is removed: mmengine
    would run it as Python.
    """
    meta = checkpoint.get('meta')
    if isinstance(meta, dict):
        meta.pop('config', None)
    scalars = checkpoint.get('message_hub', {}).get('log_scalars', {})
    for name, entry in scalars.items():
        if isinstance(entry, dict):
            scalars[name] = HistoryBuffer(
                entry['values'].tolist(), entry['counts'].tolist(), entry['max_length']
            )


def _without_folders(value: Any) -> Any:
    """Nested data in which texts that are absolute paths are cut down to their last part."""
    if isinstance(value, dict):
        return {key: _without_folders(entry) for key, entry in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_without_folders(entry) for entry in value)
    return PurePath(value).name if _is_path(value) else value


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and '\n' not in value and os.path.isabs(value)

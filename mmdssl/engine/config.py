"""Reading of configs with options, in which ``data_root`` moves every path below it."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from mmdssl.core.shipped import find_config
from mmdssl.engine.branch_masks import with_branch_masks
from mmdssl.engine.command_line import Typed
from mmdssl.engine.efficiency import with_efficiency
from mmdssl.engine.frameworks import check_framework
from mmdssl.engine.options import read_options, unquoted

__all__ = ['load_config', 'move_data_root']


def load_config(path: str | Path, options: Mapping[str, Any] | None = None) -> Config:
    """A config file with ``key=value`` options merged in.

    mmengine evaluates ``data_root + 'train2017/'`` while it reads the file, so
    that an option ``data_root=...`` alone would change nothing. Here it moves
    every path that begins with the old root, in loaders and metrics alike.

    Modules that the config names in ``custom_imports`` are looked for in the current
    folder as well, after all other places, as Python does for its own commands. A de-coupling
    branch gets its masks (:mod:`mmdssl.engine.branch_masks`), the training loader its workers from
    the block ``efficiency``; an option for the loader itself goes before.

    Args:
        path: Config file, or the name of a shipped one (:func:`find_config`).
        options: Values by dotted key; of typed ones (`mmdssl.engine.command_line`) the config
            says what their characters mean, see `mmdssl.engine.options`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If an option leads nowhere, may mean two things, or ``data_root`` is empty.
        ImportError: If the config is one of mmdet or mmseg and these do not work here.
    """
    path = find_config(path)
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    config = Config.fromfile(path, import_custom_modules=False)
    check_framework(config)  # before a module of the config fails for want of it
    if config.get('custom_imports'):
        import_modules_from_strings(**config.custom_imports)
    options = dict(options or {})
    faster = {key: options.pop(key) for key in list(options) if key.split('.')[0] == 'efficiency'}
    config.merge_from_dict(read_options(config, faster))
    config = with_efficiency(config)  # before what is said of the loader itself
    root = options.pop('data_root', None)
    if root is not None:
        config = move_data_root(config, unquoted(root) if isinstance(root, Typed) else str(root))
    if options:
        config.merge_from_dict(read_options(config, options))
        _keep_block_true(config, options)
    return with_branch_masks(config)


def _keep_block_true(config: Config, options: Mapping[str, Any]) -> None:
    """What options say of the loader stands in the block as well, for whoever reads a dump."""
    for entry, key in (('workers', 'num_workers'), ('pin_memory', 'pin_memory')):
        if f'train_dataloader.{key}' in options and 'efficiency' in config:
            config.efficiency[entry] = config.train_dataloader[key]


def move_data_root(config: Config, root: str) -> Config:
    """A copy of ``config`` in which paths below its ``data_root`` lie below ``root``.

    Raises:
        ValueError: If the config has no ``data_root``, or the new one is empty.
    """
    if not root.strip():
        raise ValueError('data_root is empty: is a variable not set? The folder itself is needed')
    old = config.get('data_root')
    if not old:
        raise ValueError('the config has no data_root to move: set the paths of its data sets')
    new = root if root.endswith('/') else root + '/'
    old = old if old.endswith('/') else old + '/'

    def moved(value: Any) -> Any:
        if isinstance(value, str):
            return new + value[len(old) :] if (value + '/').startswith(old) else value
        if isinstance(value, Mapping):
            return {key: moved(entry) for key, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(moved(entry) for entry in value)
        return value

    return Config(moved(config.to_dict()), filename=config.filename)

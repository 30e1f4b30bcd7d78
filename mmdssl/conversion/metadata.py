"""What a converted file says about its origin: no paths, nothing that is executed."""

import ast
import hashlib
from collections.abc import Mapping
from typing import Any

import torch

from mmdssl.core.weight_facts import facts_of
from mmdssl.version import __version__

__all__ = ['method_of', 'origin']

_COPIED = ('epoch', 'iter', 'seed', 'mmdssl_version', 'mmengine_version', 'torch_version')


def method_of(config: str) -> str | None:
    """The type of ``model`` in a config text, which is parsed, not run.

    Args:
        config: Python text, as checkpoints of mmengine hold it under ``meta['cfg']``.

    Returns:
        E.g. ``'DenseCL'``; None where the text does not say.
    """
    try:
        statements = ast.parse(config).body
    except SyntaxError:
        return None
    for statement in statements:
        if (
            isinstance(statement, ast.Assign)
            and any(isinstance(t, ast.Name) and t.id == 'model' for t in statement.targets)
            and isinstance(statement.value, ast.Call)
        ):
            for keyword in statement.value.keywords:
                if keyword.arg == 'type' and isinstance(keyword.value, ast.Constant):
                    return str(keyword.value.value).split('.')[-1]
    return None


def origin(content: Any) -> dict[str, Any]:
    """Method, hash of the config, progress and versions, as far as a checkpoint says them.

    Args:
        content: A checkpoint of ours, or of other code.

    Returns:
        ``method``, ``config_sha256``, ``epoch``, ``iter``, ``seed``, the versions of the
        training, ``pos_rule``, ``weights_origin`` and ``licence``, and ``converted_with``; absent
        where unknown.
    """
    meta = content.get('meta') if isinstance(content, Mapping) else None
    meta = meta if isinstance(meta, Mapping) else {}
    found: dict[str, Any] = {
        key: meta[key] for key in _COPIED if isinstance(meta.get(key), str | int)
    }
    config = meta.get('cfg')
    if isinstance(config, str) and config:
        found['config_sha256'] = hashlib.sha256(config.encode()).hexdigest()
        method = method_of(config)
        if method:
            found['method'] = method
    found |= facts_of(content)
    for key in ('method', 'config_sha256', 'architecture', 'network'):  # converted before
        if isinstance(meta.get(key), str):
            found.setdefault(key, meta[key])
    if 'epoch' not in found and isinstance(content, Mapping):
        epoch = content.get('epoch')  # where the official code puts it
        if isinstance(epoch, int):
            found['epoch'] = epoch
    found['converted_with'] = f'mmdssl {__version__}, torch {torch.__version__}'
    return found

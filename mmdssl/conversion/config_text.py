"""The settings in a config's text, read as data: nothing of it is run."""

import ast
from typing import Any

__all__ = ['read_config_text']


def read_config_text(text: str) -> dict[str, Any]:
    """Top-level entries of a config as mmengine writes it into checkpoints and work folders.

    Args:
        text: Python text of assignments to literals and calls of ``dict``.

    Returns:
        Entries by name; those that are anything else than plain data are left out.
    """
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError):
        return {}
    found: dict[str, Any] = {}
    for statement in statements:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            try:
                found[statement.targets[0].id] = _plain(statement.value)
            except ValueError:
                continue
    return found


def _plain(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List):
        return [_plain(entry) for entry in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_plain(entry) for entry in node.elts)
    if isinstance(node, ast.Dict) and None not in node.keys:
        keys = [_plain(key) for key in node.keys if key is not None]
        return dict(zip(keys, map(_plain, node.values), strict=True))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_plain(node.operand)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        if not all(entry.arg for entry in node.keywords):
            raise ValueError('no plain data')
        # dict({'a.b': 1}) where a key is no name
        found = dict(pair for one in node.args for pair in _plain_dict(one).items())
        return found | {str(entry.arg): _plain(entry.value) for entry in node.keywords}
    raise ValueError('no plain data')


def _plain_dict(node: ast.expr) -> dict[Any, Any]:
    found = _plain(node)
    if not isinstance(found, dict):
        raise ValueError('no plain data')
    return found

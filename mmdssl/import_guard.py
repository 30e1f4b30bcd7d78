"""Checkpoints are read safely from the moment on in which both mmengine and mmdssl are there.

A user's own project may import mmdssl before or after mmengine, by ``custom_imports`` or by
hand, and need not use any hook of ours. So importing mmdssl makes mmengine's loading safe at
once where that is loaded, and otherwise as soon as it gets loaded; until then nothing heavy is
imported.
"""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ['guard_loading']

_LOADING = 'mmengine.runner.checkpoint'


class _Waiting(MetaPathFinder):
    """Finds nothing itself; makes the one module safe when somebody imports it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != _LOADING:
            return None
        sys.meta_path.remove(self)  # now the others find it
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_guard(module: ModuleType) -> None:
            execute(module)
            _install()

        spec.loader.exec_module = execute_and_guard  # type: ignore[method-assign]
        return spec


def guard_loading() -> None:
    """Make mmengine's loading of checkpoints safe, now or when it is imported."""
    if _LOADING in sys.modules:
        _install()
    elif not any(isinstance(finder, _Waiting) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Waiting())


def _install() -> None:
    from mmdssl.core.safe_loading import install_safe_loading

    install_safe_loading()

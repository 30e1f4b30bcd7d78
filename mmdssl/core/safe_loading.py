"""mmengine's loading of checkpoints, made safe for whatever name a file is asked for by.

``Runner.resume``, ``load_from``, ``init_cfg=dict(type='Pretrained')`` and the inferencers of
OpenMMLab all end in ``CheckpointLoader``, which chooses a loader by the beginning of the name:
a path, ``https://``, ``torchvision://``, ``open-mmlab://``, ``s3://``, or what a project has
registered itself. A list of the known ones would miss the next. So three places are changed:
the function with which mmengine's own loaders read a file, the one with which they download, and
``CheckpointLoader`` itself, which lets ``torch.load`` read plain data only while any loader runs.
"""

import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.runner import checkpoint as mmengine_loading

from mmdssl.core.downloads import fetch
from mmdssl.core.reading import load_checkpoint_file, plain_only, refusal
from mmdssl.core.weight_values import check_finite_state

__all__ = ['install_safe_loading']

_FORCE, _FORCE_NOT = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'
_MARK = '_mmdssl_safe'


def install_safe_loading() -> None:
    """Make mmengine's checkpoint loading in this process refuse unsafe files.

    Done when mmdssl is imported (:mod:`mmdssl.import_guard`); doing it again changes nothing.
    """
    loader = mmengine_loading.CheckpointLoader
    mmengine_loading._safe_torch_load = _read
    mmengine_loading.load_from_http = _load_from_http
    loader.register_scheme('', _load_from_local, force=True)
    loader.register_scheme(('hf://', 'hf:/'), _load_from_local, force=True)
    loader.register_scheme(('http://', 'https://'), _load_from_http, force=True)
    if not hasattr(loader.load_checkpoint, _MARK):
        loader.load_checkpoint = classmethod(_guarded(loader.load_checkpoint.__func__))


def _load_from_local(filename: str, map_location: Any = None) -> Any:
    """mmengine's loader of local files, made safe; it reads those of the hub as well."""
    return load_checkpoint_file(filename, map_location=map_location)


def _load_from_http(
    filename: str, map_location: Any = None, model_dir: str | None = None, progress: bool = False
) -> Any:
    """mmengine's loader of URLs, made safe: fetch the file, then read it as a local one."""
    return load_checkpoint_file(fetch(filename, model_dir), map_location=map_location)


def _read(file: Any, map_location: Any = None, weights_only: bool | None = None) -> Any:
    """What mmengine's loaders call to read a path, or a buffer of what a server has sent."""
    if isinstance(file, str | os.PathLike):
        return load_checkpoint_file(os.fspath(file), map_location=map_location)
    with plain_only():
        return torch.load(file, map_location=map_location, weights_only=True)


def _guarded(load: Callable[..., Any]) -> Callable[..., Any]:
    """``CheckpointLoader.load_checkpoint`` under which no loader can unpickle objects."""

    def load_checkpoint(
        cls: type, filename: str, map_location: Any = None, logger: Any = 'current'
    ) -> Any:
        try:
            with plain_only(), _forced():
                content = load(cls, filename, map_location, logger)
        except pickle.UnpicklingError as error:
            raise ValueError(refusal(filename, error)) from None  # torch advises to unpickle
        check_finite_state(content, filename)
        return content

    setattr(load_checkpoint, _MARK, True)
    return load_checkpoint


@contextmanager
def _forced() -> Iterator[None]:
    """``torch.load`` reads plain data only, whatever it is asked for."""
    before = {name: os.environ.pop(name, None) for name in (_FORCE, _FORCE_NOT)}
    os.environ[_FORCE] = '1'
    try:
        yield
    finally:
        del os.environ[_FORCE]
        os.environ.update({name: value for name, value in before.items() if value is not None})

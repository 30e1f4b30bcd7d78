"""File formats of converted weights: plain tensors of ``torch.save``, and safetensors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mmdssl.core.checkpointing import atomic_file, atomic_save, to_plain

__all__ = ['SUFFIXES', 'check_target', 'write_weights']

SUFFIXES = ('.pth', '.pt', '.safetensors')


def check_target(path: Path, source: Path) -> None:
    """Refuse a file name that cannot be written, before any work is done.

    Raises:
        ValueError: For an unknown ending, or if ``path`` is the input.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f'cannot tell the format of {path}: end it in {", ".join(SUFFIXES)}')
    if path.exists() and source.exists() and path.samefile(source):
        raise ValueError(f'{path} is the input itself: give another --out')


def write_weights(state: Mapping[str, Tensor], meta: Mapping[str, Any], path: Path) -> None:
    """Write tensors and what they are.

    Args:
        state: Tensors by name.
        meta: Numbers and strings; in safetensors all become strings.
        path: ``.safetensors``, or ``.pth`` / ``.pt`` for ``dict(meta, state_dict)``.
    """
    if path.suffix != '.safetensors':
        atomic_save(to_plain(dict(meta=dict(meta), state_dict=dict(state))), path)
        return
    from safetensors.torch import save_file

    # The format allows neither shared nor strided storage.
    whole = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    with atomic_file(path) as temporary:
        save_file(whole, temporary, metadata={key: str(value) for key, value in meta.items()})

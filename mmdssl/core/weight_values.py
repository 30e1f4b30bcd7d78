"""Weights that are read hold numbers: a file with NaN or Inf is refused wherever it is read.

A run that diverged leaves names, shapes and sizes that are all in order; only the values tell that
a network of it computes nothing. Everything that takes weights out of a file asks here.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mmdssl.core.wording import listed_after

__all__ = ['check_finite', 'check_finite_state', 'not_finite']


def check_finite(state: Mapping[str, Any], path: Any) -> None:
    """Refuse tensors that hold NaN or Inf.

    Args:
        state: Tensors by name, see :func:`not_finite`.
        path: Of the file, for the message.

    Raises:
        ValueError: If a tensor is not finite.
    """
    bad = not_finite(state)
    if bad:
        raise ValueError(
            f'{path} holds NaN or Inf in {len(bad)} of {len(_floats(state))} '
            f'tensors{listed_after(bad, 3)}: the training that wrote it had diverged, its features '
            'mean nothing; use an earlier checkpoint'
        )


def check_finite_state(content: Any, path: Any) -> None:
    """The same for what was read from a file: a state dict, or a dict with one inside.

    Raises:
        ValueError: If a tensor of the network is not finite.
    """
    if isinstance(content, Mapping):
        inner = content.get('state_dict')
        check_finite(inner if isinstance(inner, Mapping) else content, path)


@torch.no_grad()
def not_finite(state: Mapping[str, Any]) -> list[str]:
    """Names of the tensors that hold NaN or Inf; waits for the device.

    Args:
        state: Tensors by name; other entries, whole numbers, and infinities of masks (which some
            networks add to attention) are no matter.
    """
    return [name for name, value in _floats(state).items() if not _finite(value, str(name))]


def _floats(state: Mapping[str, Any]) -> dict[str, Tensor]:
    return {
        name: value
        for name, value in state.items()
        if isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex())
    }


def _finite(value: Tensor, name: str) -> bool:
    if value.is_meta or value.layout is not torch.strided:
        return True
    if value.element_size() == 1:  # isfinite does not know all 8-bit floats
        value = value.float()
    if name.endswith('mask'):
        return not bool(value.isnan().any())
    return bool(value.isfinite().all())

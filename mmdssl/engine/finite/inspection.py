"""What of a training state is not finite, before it is written to a file."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from mmdssl.core.weight_values import not_finite
from mmdssl.engine.unwrap import unwrap_model

__all__ = ['not_finite_entries']


def not_finite_entries(model: nn.Module, optim_wrapper: Any = None) -> list[str]:
    """Names of weights, buffers and optimizer states that hold NaN or Inf; waits for the device.

    Args:
        model: Wrapped or not.
        optim_wrapper: The optimizer wrapper; None leaves its state out.
    """
    named = dict(_tensors(unwrap_model(model).state_dict(), ''))
    if optim_wrapper is not None and hasattr(optim_wrapper, 'state_dict'):
        named.update(_tensors(optim_wrapper.state_dict(), 'optimizer.'))
    return not_finite(named)


def _tensors(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """All tensors in nested data, with dotted names."""
    if isinstance(value, Tensor):
        yield name.rstrip('.'), value
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _tensors(entry, f'{name}{key}.')
    elif isinstance(value, list | tuple):
        for place, entry in enumerate(value):
            yield from _tensors(entry, f'{name}{place}.')

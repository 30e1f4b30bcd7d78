"""The model inside its data-parallel wrapper."""

from typing import Any

from mmengine.model import is_model_wrapper
from torch import nn

__all__ = ['unwrap_model']


def unwrap_model(model: nn.Module) -> Any:
    """``model.module`` of a data-parallel wrapper; any other model as it is."""
    return model.module if is_model_wrapper(model) else model

"""Optimizer wrappers and parameter groups."""

from mmdssl.engine.optimizers.constructor import SelfSupOptimWrapperConstructor
from mmdssl.engine.optimizers.optim_wrapper import (
    AmpPerParamClipOptimWrapper,
    PerParamClipOptimWrapper,
)

__all__ = [
    'AmpPerParamClipOptimWrapper',
    'PerParamClipOptimWrapper',
    'SelfSupOptimWrapperConstructor',
]

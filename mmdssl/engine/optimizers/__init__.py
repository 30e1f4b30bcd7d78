"""Optimizer wrappers and parameter groups."""

from mmdssl.engine.optimizers.constructor import SelfSupOptimWrapperConstructor
from mmdssl.engine.optimizers.layer_decay import LayerDecayOptimWrapperConstructor
from mmdssl.engine.optimizers.optim_wrapper import (
    AmpPerParamClipOptimWrapper,
    PerParamClipOptimWrapper,
)
from mmdssl.engine.optimizers.soco_lars import SoCoLARS

__all__ = [
    'AmpPerParamClipOptimWrapper',
    'LayerDecayOptimWrapperConstructor',
    'PerParamClipOptimWrapper',
    'SelfSupOptimWrapperConstructor',
    'SoCoLARS',
]

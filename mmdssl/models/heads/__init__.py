"""Projection heads, and the shared head of C4 detectors."""

from mmdssl.models.heads.c4_shared_head import C4SharedHead
from mmdssl.models.heads.dynamic_alignment import DynamicAlignment
from mmdssl.models.heads.ibot_head import IBOTHead
from mmdssl.models.heads.leopart_head import LeopartHead
from mmdssl.models.heads.pixel_propagation import PixelPropagation
from mmdssl.models.heads.prototype_scores import PrototypeScores
from mmdssl.models.heads.slot_head import SlotHead
from mmdssl.models.heads.window_pyramid import WindowPyramid

__all__ = [
    'C4SharedHead',
    'DynamicAlignment',
    'IBOTHead',
    'LeopartHead',
    'PixelPropagation',
    'PrototypeScores',
    'SlotHead',
    'WindowPyramid',
]

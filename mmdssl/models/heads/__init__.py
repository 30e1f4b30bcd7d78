"""Projection heads."""

from mmdssl.models.heads.dynamic_alignment import DynamicAlignment
from mmdssl.models.heads.ibot_head import IBOTHead
from mmdssl.models.heads.leopart_head import LeopartHead

__all__ = ['DynamicAlignment', 'IBOTHead', 'LeopartHead']

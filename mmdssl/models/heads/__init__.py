"""Projection heads."""

from mmdssl.models.heads.ibot_head import IBOTHead

__all__ = ['IBOTHead']

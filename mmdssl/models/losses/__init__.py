"""Losses."""

from mmdssl.models.losses.ibot_loss import IBOTLoss

__all__ = ['IBOTLoss']

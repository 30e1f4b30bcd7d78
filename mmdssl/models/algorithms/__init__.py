"""Hosts: one method a file."""

from mmdssl.models.algorithms.ibot import IBOT

__all__ = ['IBOT']

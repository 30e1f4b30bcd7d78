"""Hosts, the de-coupling branch and their parts."""

from mmdssl.models import algorithms, backbones, data_preprocessors, heads, losses
from mmdssl.models.decoupling import DecouplingBranch

__all__ = [
    'DecouplingBranch',
    'algorithms',
    'backbones',
    'data_preprocessors',
    'heads',
    'losses',
]

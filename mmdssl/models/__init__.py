"""Hosts, the de-coupling branch and their parts."""

import mmdssl.registry  # noqa: F401  (before any import of mmpretrain.models)
from mmdssl.models import algorithms, backbones, data_preprocessors, heads, losses, necks
from mmdssl.models.decoupling import DecouplingBranch
from mmdssl.models.utils.pretrained import PretrainedBackbone

__all__ = [
    'DecouplingBranch',
    'PretrainedBackbone',
    'algorithms',
    'backbones',
    'data_preprocessors',
    'heads',
    'losses',
    'necks',
]

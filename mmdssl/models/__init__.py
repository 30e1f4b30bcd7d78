"""Hosts, branches and their parts."""

import mmdssl.registry  # noqa: F401  (before any import of mmpretrain.models)
from mmdssl.models import algorithms, backbones, branches, data_preprocessors, heads, losses, necks
from mmdssl.models.branches import DecouplingBranch, GramAnchoring, PatchKernelAlignment
from mmdssl.models.utils.pretrained import PretrainedBackbone

__all__ = [
    'DecouplingBranch',
    'GramAnchoring',
    'PatchKernelAlignment',
    'PretrainedBackbone',
    'algorithms',
    'backbones',
    'branches',
    'data_preprocessors',
    'heads',
    'losses',
    'necks',
]

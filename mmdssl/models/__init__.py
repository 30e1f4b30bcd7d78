"""Hosts, branches and their parts."""

import mmdssl.registry  # noqa: F401  (before any import of mmpretrain.models)
from mmdssl.models import algorithms, backbones, branches, data_preprocessors, heads, losses, necks
from mmdssl.models.branches import DecouplingBranch, GramAnchoring, PatchKernelAlignment
from mmdssl.models.consistency_extractor import ConsistencyExtractor
from mmdssl.models.feature_extractor import FeatureExtractor
from mmdssl.models.probe_extractor import ProbeExtractor
from mmdssl.models.utils.pretrained import PretrainedBackbone

__all__ = [
    'ConsistencyExtractor',
    'DecouplingBranch',
    'FeatureExtractor',
    'GramAnchoring',
    'PatchKernelAlignment',
    'PretrainedBackbone',
    'ProbeExtractor',
    'algorithms',
    'backbones',
    'branches',
    'data_preprocessors',
    'heads',
    'losses',
    'necks',
]

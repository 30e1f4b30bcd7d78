"""Hosts, the de-coupling branch and their parts."""

import mmdssl.registry  # noqa: F401  (before any import of mmpretrain.models)
from mmdssl.models import algorithms, backbones, data_preprocessors, heads, losses, necks
from mmdssl.models.consistency_extractor import ConsistencyExtractor
from mmdssl.models.decoupling import DecouplingBranch
from mmdssl.models.feature_extractor import FeatureExtractor
from mmdssl.models.probe_extractor import ProbeExtractor
from mmdssl.models.utils.pretrained import PretrainedBackbone

__all__ = [
    'ConsistencyExtractor',
    'DecouplingBranch',
    'FeatureExtractor',
    'PretrainedBackbone',
    'ProbeExtractor',
    'algorithms',
    'backbones',
    'data_preprocessors',
    'heads',
    'losses',
    'necks',
]

"""Hosts, the de-coupling branch and their parts."""

from mmdssl.models import algorithms, backbones, data_preprocessors, heads, losses
from mmdssl.models.decoupling import DecouplingBranch
from mmdssl.models.feature_extractor import FeatureExtractor

__all__ = [
    'DecouplingBranch',
    'FeatureExtractor',
    'algorithms',
    'backbones',
    'data_preprocessors',
    'heads',
    'losses',
]

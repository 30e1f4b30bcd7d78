"""Frozen backbones as models of their own: what feeds the metrics."""

from mmdssl.evaluation.extractors.consistency_extractor import ConsistencyExtractor
from mmdssl.evaluation.extractors.feature_extractor import FeatureExtractor
from mmdssl.evaluation.extractors.probe_extractor import ProbeExtractor

__all__ = ['ConsistencyExtractor', 'FeatureExtractor', 'ProbeExtractor']

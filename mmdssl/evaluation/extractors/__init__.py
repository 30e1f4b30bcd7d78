"""Frozen backbones as models of their own: what feeds the metrics."""

from mmdssl.evaluation.extractors.consistency_extractor import ConsistencyExtractor
from mmdssl.evaluation.extractors.diagnostic_extractor import DiagnosticExtractor
from mmdssl.evaluation.extractors.feature_extractor import FeatureExtractor

__all__ = ['ConsistencyExtractor', 'DiagnosticExtractor', 'FeatureExtractor']

"""Metrics on frozen backbones."""

from mmdssl.evaluation.consistency import LocalSemanticConsistency
from mmdssl.evaluation.object_knn import ObjectKNN

__all__ = ['LocalSemanticConsistency', 'ObjectKNN']

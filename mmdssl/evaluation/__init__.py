"""Metrics on frozen backbones."""

from mmdssl.evaluation.object_knn import ObjectKNN

__all__ = ['ObjectKNN']

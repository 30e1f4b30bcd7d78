"""Backbones: mmpretrain's, with what they lack."""

from mmdssl.models.backbones.dense_vit import DenseViT

__all__ = ['DenseViT']

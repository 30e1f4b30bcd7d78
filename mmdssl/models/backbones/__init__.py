"""Backbones: mmpretrain's, with what they lack."""

from mmdssl.models.backbones.dense_vit import DenseViT
from mmdssl.models.backbones.sincos_vit import SinCosViT

__all__ = ['DenseViT', 'SinCosViT']

"""Backbones: mmpretrain's, with what they lack."""

from mmdssl.models.backbones.dense_vit import DenseViT
from mmdssl.models.backbones.sincos_vit import SinCosViT
from mmdssl.models.backbones.tap_vit import TapViT
from mmdssl.models.backbones.torchvision_backbone import TorchvisionBackbone

__all__ = ['DenseViT', 'SinCosViT', 'TapViT', 'TorchvisionBackbone']

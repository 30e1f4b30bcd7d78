"""Backbones: mmpretrain's, with what they lack."""

from mmdssl.models.backbones.dense_vit import DenseViT
from mmdssl.models.backbones.hf_backbone import HFBackbone
from mmdssl.models.backbones.sincos_vit import SinCosViT
from mmdssl.models.backbones.tap_vit import TapViT
from mmdssl.models.backbones.timm_backbone import TimmBackbone
from mmdssl.models.backbones.torchvision_backbone import TorchvisionBackbone

__all__ = [
    'DenseViT',
    'HFBackbone',
    'SinCosViT',
    'TapViT',
    'TimmBackbone',
    'TorchvisionBackbone',
]

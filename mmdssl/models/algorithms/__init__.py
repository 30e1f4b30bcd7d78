"""Hosts: one method a file."""

from mmdssl.models.algorithms.byol import BYOL
from mmdssl.models.algorithms.cross_distillation import CrossDistillation
from mmdssl.models.algorithms.d3ssl import D3SSL
from mmdssl.models.algorithms.dense_distillation import DenseDistillation
from mmdssl.models.algorithms.densecl import DenseCL
from mmdssl.models.algorithms.ibot import IBOT
from mmdssl.models.algorithms.leopart import Leopart
from mmdssl.models.algorithms.maskalign import MaskAlign
from mmdssl.models.algorithms.neco import NeCo
from mmdssl.models.algorithms.pixpro import PixPro
from mmdssl.models.algorithms.plrc import PLRC
from mmdssl.models.algorithms.resim import ReSim
from mmdssl.models.algorithms.selfemd import SelfEMD
from mmdssl.models.algorithms.slotcon import SlotCon
from mmdssl.models.algorithms.soco import SoCo

__all__ = [
    'BYOL',
    'D3SSL',
    'IBOT',
    'PLRC',
    'CrossDistillation',
    'DenseCL',
    'DenseDistillation',
    'Leopart',
    'MaskAlign',
    'NeCo',
    'PixPro',
    'ReSim',
    'SelfEMD',
    'SlotCon',
    'SoCo',
]

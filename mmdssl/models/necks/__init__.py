"""Necks of detectors and segmentors, and projectors of maps."""

from mmdssl.models.necks.deconv_pyramid import DeconvPyramid
from mmdssl.models.necks.point_mlp import PointMLP

__all__ = ['DeconvPyramid', 'PointMLP']

"""Necks of detectors and segmentors."""

from mmdssl.models.necks.deconv_pyramid import DeconvPyramid

__all__ = ['DeconvPyramid']

"""Composed images whose regions tell what a feature is made of."""

from mmdssl.datasets.diagnostics.image_grids import ImageGrids
from mmdssl.datasets.diagnostics.object_backgrounds import ObjectBackgrounds
from mmdssl.datasets.diagnostics.object_pairs import ObjectPairs
from mmdssl.datasets.diagnostics.object_parts import ObjectParts

__all__ = ['ImageGrids', 'ObjectBackgrounds', 'ObjectPairs', 'ObjectParts']

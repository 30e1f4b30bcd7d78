"""Composed images whose regions tell what a feature is made of."""

from mmdssl.datasets.probes.image_grids import ImageGrids
from mmdssl.datasets.probes.object_backgrounds import ObjectBackgrounds
from mmdssl.datasets.probes.object_pairs import ObjectPairs
from mmdssl.datasets.probes.object_parts import ObjectParts

__all__ = ['ImageGrids', 'ObjectBackgrounds', 'ObjectPairs', 'ObjectParts']

"""Synthetic multi-object scenes with a known, adjustable coupling of objects to their context.

`SceneSpec` says what is drawn, `draw_layout` places it, `render` paints it, `write_scenes`
makes a COCO-format data set of it, `write_voc` one of VOC's. Needs nothing but NumPy and OpenCV.
"""

from mmdssl.datasets.scenes.layout import Layout, SceneObject, draw_layout
from mmdssl.datasets.scenes.polygons import mask_to_polygons
from mmdssl.datasets.scenes.render import render
from mmdssl.datasets.scenes.spec import PRESETS, SceneClass, SceneSpec
from mmdssl.datasets.scenes.statistics import association
from mmdssl.datasets.scenes.voc_layout import write_voc
from mmdssl.datasets.scenes.writer import write_scenes

__all__ = [
    'PRESETS',
    'Layout',
    'SceneClass',
    'SceneObject',
    'SceneSpec',
    'association',
    'draw_layout',
    'mask_to_polygons',
    'render',
    'write_scenes',
    'write_voc',
]

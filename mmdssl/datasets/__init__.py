"""Data sets and their transforms."""

from mmdssl.datasets import diagnostics, transforms
from mmdssl.datasets.coco_objects import CocoObjects
from mmdssl.datasets.coco_semantic import CocoSemantic
from mmdssl.datasets.image_folder import ImageFolder
from mmdssl.datasets.image_shards import ImageShards
from mmdssl.datasets.semantic_folder import SemanticFolder
from mmdssl.datasets.tagged_concat import TaggedConcat
from mmdssl.datasets.workers import seed_worker

__all__ = [
    'CocoObjects',
    'CocoSemantic',
    'ImageFolder',
    'ImageShards',
    'SemanticFolder',
    'TaggedConcat',
    'diagnostics',
    'seed_worker',
    'transforms',
]

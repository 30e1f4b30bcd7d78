"""Metrics on frozen backbones."""

from mmdssl.evaluation.artefact_tokens import ArtefactTokens
from mmdssl.evaluation.background_sensitivity import BackgroundSensitivity
from mmdssl.evaluation.consistency import LocalSemanticConsistency
from mmdssl.evaluation.coupling import InterObjectCoupling
from mmdssl.evaluation.in_context_segmentation import InContextSegmentation
from mmdssl.evaluation.intra_coupling import IntraObjectCoupling
from mmdssl.evaluation.object_discovery import ObjectDiscovery
from mmdssl.evaluation.object_knn import ObjectKNN
from mmdssl.evaluation.over_clustering import OverClustering
from mmdssl.evaluation.patch_affinity import PatchAffinity
from mmdssl.evaluation.patch_knn_segmentation import PatchKNNSegmentation
from mmdssl.evaluation.position import PositionalSimilarity

__all__ = [
    'ArtefactTokens',
    'BackgroundSensitivity',
    'InContextSegmentation',
    'InterObjectCoupling',
    'IntraObjectCoupling',
    'LocalSemanticConsistency',
    'ObjectDiscovery',
    'ObjectKNN',
    'OverClustering',
    'PatchAffinity',
    'PatchKNNSegmentation',
    'PositionalSimilarity',
]

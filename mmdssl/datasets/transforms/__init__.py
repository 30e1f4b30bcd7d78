"""Transforms of the workers: one idea a file."""

from mmdssl.datasets.transforms.box_jitter import BoxJitter
from mmdssl.datasets.transforms.common_boxes import CommonBoxViews
from mmdssl.datasets.transforms.cutout import SquareCutout
from mmdssl.datasets.transforms.disturb_background import DisturbBackground
from mmdssl.datasets.transforms.instance_map import InstanceMap
from mmdssl.datasets.transforms.loading import LoadImage
from mmdssl.datasets.transforms.masks import (
    BlockwiseMask,
    EmptyMask,
    ProposalCutout,
    RandomPatchMask,
    RectangleForeground,
)
from mmdssl.datasets.transforms.multiview import MultiViewWithBoxes
from mmdssl.datasets.transforms.overlapping_crops import OverlappingCrops
from mmdssl.datasets.transforms.overlapping_pairs import OverlappingPairs
from mmdssl.datasets.transforms.packing import PackViews
from mmdssl.datasets.transforms.packing_objects import PackObjects
from mmdssl.datasets.transforms.proposal_random_cutout import ProposalRandomCutout
from mmdssl.datasets.transforms.proposal_random_mask import ProposalRandomMask
from mmdssl.datasets.transforms.proposals import LoadProposals, SelectiveSearch
from mmdssl.datasets.transforms.region_collaborative_cutout import RegionCollaborativeCutout
from mmdssl.datasets.transforms.region_points import RegionPoints
from mmdssl.datasets.transforms.regions import GridRegions
from mmdssl.datasets.transforms.restricted_box_jitter import RestrictedBoxJitter
from mmdssl.datasets.transforms.select_objects import SelectObjects
from mmdssl.datasets.transforms.semantic_maps import (
    LoadSemanticMap,
    MapFromObjects,
    PackSemantic,
    RandomResizedCropWithMap,
    ResizeMap,
    ResizeWithMap,
)
from mmdssl.datasets.transforms.shifted_foreground import ShiftedForeground
from mmdssl.datasets.transforms.slight_colours import SlightColours
from mmdssl.datasets.transforms.views import (
    RandomFlipWithBoxes,
    RandomResizedCropWithBoxes,
    ResizeWithBoxes,
)

__all__ = [
    'BlockwiseMask',
    'BoxJitter',
    'CommonBoxViews',
    'DisturbBackground',
    'EmptyMask',
    'GridRegions',
    'InstanceMap',
    'LoadImage',
    'LoadProposals',
    'LoadSemanticMap',
    'MapFromObjects',
    'MultiViewWithBoxes',
    'OverlappingCrops',
    'OverlappingPairs',
    'PackObjects',
    'PackSemantic',
    'PackViews',
    'ProposalCutout',
    'ProposalRandomCutout',
    'ProposalRandomMask',
    'RandomFlipWithBoxes',
    'RandomPatchMask',
    'RandomResizedCropWithBoxes',
    'RandomResizedCropWithMap',
    'RectangleForeground',
    'RegionCollaborativeCutout',
    'RegionPoints',
    'ResizeMap',
    'ResizeWithBoxes',
    'ResizeWithMap',
    'RestrictedBoxJitter',
    'SelectObjects',
    'SelectiveSearch',
    'ShiftedForeground',
    'SlightColours',
    'SquareCutout',
]

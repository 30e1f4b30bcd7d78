"""Branches: further losses on any host, one a file."""

from mmdssl.models.branches.branch import Branch, BranchLoss, Targets
from mmdssl.models.branches.branch_list import Branches
from mmdssl.models.branches.decoupling import Decoupled, DecouplingBranch
from mmdssl.models.branches.gram_anchoring import GramAnchoring
from mmdssl.models.branches.patch_kernel_alignment import PatchKernelAlignment

__all__ = [
    'Branch',
    'BranchLoss',
    'Branches',
    'Decoupled',
    'DecouplingBranch',
    'GramAnchoring',
    'PatchKernelAlignment',
    'Targets',
]

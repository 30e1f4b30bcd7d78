"""NeCo's loss: student and teacher put the same references in the same order (ICLR 2025).

A token is compared with R reference tokens; the similarities are sorted softly, ascending, which
gives a permutation of R x R (:mod:`mmdssl.models.utils.soft_sort`). With q of the teacher's token
and p of the student's at the same place,

    loss = -mean over tokens and ranks of  sum over references of  q log p.

In the pre-training, tokens are those of the part that a global view g and another view v have in
common, cut out of both maps by RoIAlign, and references those of the teacher in the same part.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mmdssl.models.losses.region_assignment import (
    align_overlaps,
    pairs_of_views,
    predicted_overlaps,
)
from mmdssl.models.utils.soft_sort import soft_permutation

__all__ = ['Similarity', 'neighbour_order_loss', 'order_cross_entropy', 'similarities']

Similarity = Literal['cosine', 'euclidean']

# Tokens whose permutations of 49 references, and what their gradient needs, are held at a time:
# 20 kB a token and layer of the network. More of them are computed once more in the backward pass.
_CHUNK = 2048


def similarities(
    tokens: Float[Tensor, '*n s c'], references: Float[Tensor, '*n r c'], kind: Similarity
) -> Float[Tensor, '*n s r']:
    """Of tokens with references: cosines, or distances (``'euclidean'``), float32 or more."""
    with torch.autocast(tokens.device.type, enabled=False):
        if tokens.dtype != torch.float64:
            tokens, references = tokens.float(), references.float()
        if kind == 'euclidean':
            return torch.cdist(tokens, references)
        cosines: Tensor = F.normalize(tokens, dim=-1) @ F.normalize(references, dim=-1).mT
        return cosines


def order_cross_entropy(
    student: Float[Tensor, 'm r'],
    teacher: Float[Tensor, 'm r'],
    *,
    steepness: tuple[float, float] = (100.0, 100.0),
) -> Float[Tensor, '']:
    """Cross entropy of the soft orders of similarities; mean over tokens and ranks.

    Args:
        student: (M, R) similarities of the student's tokens with the references.
        teacher: (M, R) of the teacher's, without gradient.
        steepness: Of the comparators, student's and teacher's.

    Returns:
        Scalar; 0 for no tokens.
    """

    def summed(own: Float[Tensor, 'n r'], other: Float[Tensor, 'n r']) -> Float[Tensor, '']:
        p = soft_permutation(own, steepness=steepness[0])[1]
        with torch.no_grad():
            q = soft_permutation(other, steepness=steepness[1])[1]
        return -(q * p.log()).sum()

    if not len(student):
        return student.sum()
    total = student.new_zeros(())
    again = student.requires_grad and len(student) > _CHUNK
    for own, other in zip(student.split(_CHUNK), teacher.split(_CHUNK), strict=True):
        part = checkpoint(summed, own, other, use_reentrant=False) if again else summed(own, other)
        total = total + part
    return total / student.numel()


def neighbour_order_loss(
    teacher: Float[Tensor, 'g n c h w'],
    student: Sequence[Float[Tensor, 'n c _ _']],
    boxes_in_global: Float[Tensor, 'n g v 4'],
    boxes_in_other: Float[Tensor, 'n v g 4'],
    *,
    references: Callable[[Float[Tensor, 'n s c'], int], Float[Tensor, 'n r c']],
    patch_size: int,
    roi_size: int = 7,
    similarity: Similarity = 'cosine',
    steepness: tuple[float, float] = (100.0, 100.0),
) -> Float[Tensor, '']:
    """The loss of all pairs of a global view and another view.

    Args:
        teacher: (G, N, C, h, w) maps of the global views.
        student: Maps of every view, globals first, (N, C, h_v, w_v) each.
        boxes_in_global: (N, G, V, 4) overlap of global g and view v, x1 y1 x2 y2 in pixels of g.
        boxes_in_other: (N, V, G, 4) the same overlap in pixels of v.
        references: Makes of the teacher's tokens (N, S, C) of a pair, and its number, the
            references (N, R, C) of each image. Pairs are counted global by global, then other
            views in their order.
        patch_size: Pixels per side of a map cell.
        roi_size: Cells per side that RoIAlign cuts out of an overlap.
        similarity: What is put in order.
        steepness: Of the comparators, student's and teacher's.

    Returns:
        Scalar, the mean over all tokens of all pairs.
    """
    size = teacher.shape[1]
    first, other = pairs_of_views(len(teacher), len(student))
    there = boxes_in_global[:, first, other].transpose(0, 1)  # (P, N, 4)
    here = boxes_in_other[:, other, first].transpose(0, 1)
    wanted = align_overlaps(teacher.flatten(0, 1), first, there, size, patch_size, roi_size)
    given = predicted_overlaps(student, other, here, patch_size, roi_size)
    wanted, given = (x.flatten(3).transpose(2, 3) for x in (wanted, given))  # (P, N, S, C)
    chosen = torch.stack([references(tokens, pair) for pair, tokens in enumerate(wanted)])
    own, targets = (similarities(x, chosen, similarity).flatten(0, 2) for x in (given, wanted))
    return order_cross_entropy(own, targets, steepness=steepness)

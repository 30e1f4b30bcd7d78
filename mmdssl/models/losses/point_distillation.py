"""Distillation at the same place of the image, pair by pair of a fine grid: PLRC (CVPR 2022).

Maps of 7 x 7 cells are upsampled to g x g points (56 in the release). Point i of the student's view
and point j of the teacher's are a pair if they lie within half a diagonal of a point. For a pair,
both sides are rows of products with all points of a third map (affinities) and of scores with
prototypes, and

    loss = mean over pairs of  -softmax((row_t - centre) / t_t) log softmax(row_s / t_s).

Some 4400 pairs an image with 4096 + 3136 entries a row: 4 GB for 32 images, several times. Since
bilinear upsampling is linear, a row is made from the small maps when it is wanted: images take
turns, so many pairs at a time, and the backward pass makes rows once more. The result is the same.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mmdssl.models.losses.region_assignment import assignment_cross_entropy

__all__ = ['PointMaps', 'distil_pairs', 'distil_rows', 'kept_pairs', 'point_rows', 'upsampling']

# Entries of a row matrix that are held at a time: 64 MB in float32.
_ENTRIES = 2**24


class PointMaps(NamedTuple):
    """What a net says of the cells of N images.

    Attributes:
        vectors: (N, S, D) that affinities are products of; D is 0 without affinities.
        scores: (N, S, K).
    """

    vectors: Tensor
    scores: Tensor


def upsampling(
    grid: tuple[int, int], size: int, *, like: Float[Tensor, '...']
) -> Float[Tensor, 'points cells']:
    """Weights of cells in points: (size * size, h * w), bilinear, pixel edges, as a matrix."""
    cells = grid[0] * grid[1]
    each = torch.eye(cells, dtype=like.dtype, device=like.device).view(1, cells, *grid)
    grown = F.interpolate(each, (size, size), mode='bilinear', align_corners=False)
    return grown[0].flatten(1).T


def point_rows(
    maps: tuple[Float[Tensor, 's d'], Float[Tensor, 's _']],
    weights: Float[Tensor, 'm s'],
    key: Float[Tensor, 't d'],
) -> Float[Tensor, 'm e']:
    """Rows of points of one image: affinities to all points of a third map, then scores.

    Args:
        maps: vectors (S, D) and scores (S, K) of its cells.
        weights: (M, S) of the cells in each point.
        key: (T, D) points of the third map.
    """
    vectors, scores = maps
    return torch.cat(((weights @ vectors) @ key.T, weights @ scores), dim=1)


def distil_rows(
    student: Float[Tensor, 'm e'],
    teacher: Float[Tensor, 'm e'],
    centre: Float[Tensor, '1 e'],
    *,
    student_temperature: float,
    teacher_temperature: float,
) -> Float[Tensor, ' m']:
    """Cross entropy of every pair of rows, see the module docstring."""
    targets = ((teacher - centre) / teacher_temperature).softmax(dim=1)
    return assignment_cross_entropy(targets, student, temperature=student_temperature)


def distil_pairs(
    student: PointMaps,
    teacher: PointMaps,
    key: Float[Tensor, 'n t d'],
    pairs: Sequence[Int64[Tensor, '_ 2']],
    enlarge: Float[Tensor, 'points cells'],
    centre: Float[Tensor, '1 e'],
    *,
    student_temperature: float,
    teacher_temperature: float,
) -> tuple[Float[Tensor, ''], Float[Tensor, ' e'], int]:
    """The sum over all pairs, without ever holding all rows.

    Args:
        student: Of N images.
        teacher: Of the same images in the other view, without gradient.
        key: (N, T, D) points of the third map, to which affinities are; T is 0 without.
        pairs: For each image (M, 2), point of the student and of the teacher.
        enlarge: Of :func:`upsampling`.
        centre: (1, T + K) that is subtracted from the teacher's rows.
        student_temperature: t_s.
        teacher_temperature: t_t.

    Returns:
        Sum of the losses, the sum of the teacher's rows for the centre, and the number of pairs.
    """
    temperatures = dict(
        student_temperature=student_temperature, teacher_temperature=teacher_temperature
    )

    def summed(
        vectors: Float[Tensor, 's d'],
        scores: Float[Tensor, 's _'],
        other: PointMaps,
        third: Float[Tensor, 't d'],
        chosen: Int64[Tensor, 'm 2'],
    ) -> tuple[Float[Tensor, ''], Float[Tensor, ' e']]:
        own = point_rows((vectors, scores), enlarge[chosen[:, 0]], third)
        wanted = point_rows(other, enlarge[chosen[:, 1]], third)
        return distil_rows(own, wanted, centre, **temperatures).sum(), wanted.sum(dim=0)

    total, rows = student.scores.sum() * 0, centre.new_zeros(centre.shape[1])
    at_a_time = max(_ENTRIES // centre.shape[1], 1)
    for image, found in enumerate(pairs):
        for chosen in found.split(at_a_time):
            maps = (student.vectors[image], student.scores[image])
            other = PointMaps(teacher.vectors[image], teacher.scores[image])
            loss, added = checkpoint(summed, *maps, other, key[image], chosen, use_reentrant=False)
            total, rows = total + loss, rows + added.detach()
    return total, rows, sum(len(found) for found in pairs)


def kept_pairs(
    mask: Bool[Tensor, 'n s t'], most: int | None, generator: torch.Generator
) -> list[Int64[Tensor, '_ 2']]:
    """Pairs of each image, (M, 2) row-major; of more than ``most`` a random choice.

    Args:
        mask: (N, S, T) True where points are a pair.
        most: Pairs an image; None: all.
        generator: CPU generator of the choice.
    """
    found = []
    for image in mask:
        pairs = image.nonzero()
        if most is not None and len(pairs) > most:
            order = torch.randperm(len(pairs), generator=generator)[:most].sort().values
            pairs = pairs[order.to(pairs.device)]
        found.append(pairs)
    return found

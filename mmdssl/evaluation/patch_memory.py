"""A memory of labelled patches, bounded: what in-context segmentation retrieves from.

Every image gives as many patches, the rarer the classes in them the likelier
(open-hummingbird-eval 2.0).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Int64, Integer
from torch import Tensor

from mmdssl.evaluation.labelled_patches import IGNORED, as_rows, pixels_of_patches

__all__ = [
    'STORAGES',
    'PatchMemory',
    'Storage',
    'Void',
    'memory_draws',
    'patches_per_image',
    'patches_to_keep',
    'remember',
    'rounding',
]

Void = Literal['background', 'leave_out']
Storage = Literal['float32', 'float16', 'bfloat16']
STORAGES: dict[str, torch.dtype] = dict(
    float32=torch.float32, float16=torch.float16, bfloat16=torch.bfloat16
)
Kept = tuple[Float[Tensor, '_ c'], Integer[np.ndarray, '_ k']]  # features, pixels by class


def rounding(storage: Storage) -> float:
    """Largest error of a cosine when a bank of unit rows is stored so; 0 for float32.

    A value is rounded by half a unit in the last place of its own size, hence by Cauchy and Schwarz
    the dot product of two unit vectors by no more than that share of 1: 0.00049 for float16,
    0.0039 for bfloat16. (Values of float16 below 6e-5 are rounded more coarsely, by 3e-8 each.)
    """
    return 0.0 if storage == 'float32' else torch.finfo(STORAGES[storage]).eps / 2


@dataclass
class PatchMemory:
    """Labelled patches.

    Attributes:
        features: (n_i, C) by image, of unit length, of the type they are stored in.
        counts: (M, classes) unsigned, pixels of each class in each of all patches.
        pixels: Pixels of a patch.
    """

    features: Sequence[Float[Tensor, '_ c']]
    counts: Integer[np.ndarray, 'm k']
    pixels: int

    def __len__(self) -> int:
        return len(self.counts)

    @classmethod
    def of(cls, kept: Iterable[Kept], *, pixels: int, size: int | None = None) -> 'PatchMemory':
        """Put together what :func:`remember` kept of the images, cut off at ``size`` patches."""
        features, counts, filled = [], [], 0
        for rows, table in kept:
            room = len(rows) if size is None else size - filled
            features.append(rows[:room])
            counts.append(table[:room])
            filled += len(features[-1])
        return cls(
            features, np.concatenate(counts) if counts else np.zeros((0, 0), np.uint8), pixels
        )


def patches_to_keep(
    counts: Integer[np.ndarray, 'n c'], number: int, draws: Float[np.ndarray, ' n']
) -> Int64[np.ndarray, ' m']:
    """Which patches of an image a bounded memory keeps.

    The score of a patch is, summed over the classes in it, the number of patches of the image that
    have the class, times its draw; the lowest are kept, so rare classes are favoured.

    Args:
        counts: (n, classes) pixels.
        number: Patches to keep; all in their order if there are no more.
        draws: (n,) uniform in [0, 1).

    Returns:
        (min(n, number),) indices, by score.
    """
    if number >= len(counts):
        return np.arange(len(counts))
    present = (counts > 0).astype(np.int64)
    scores = (present @ present.sum(axis=0)) * draws
    return np.argsort(scores, kind='stable')[:number]


def remember(
    features: Float[np.ndarray, 'h w c'] | Float[Tensor, 'h w c'],
    labels: Integer[np.ndarray, 'a b'],
    *,
    num_classes: int,
    keep: int | None = None,
    draws: Float[np.ndarray, ' n'] | None = None,
    void: Void = 'background',
    storage: Storage = 'float32',
) -> Kept:
    """What a memory holds of one image.

    Args:
        features: (h, w, C) patch features, of any length.
        labels: (H, W), a multiple of (h, w); 255 is void.
        num_classes: Number of classes.
        keep: Patches to keep, None for all.
        draws: (h * w,) see :func:`patches_to_keep`; needed with ``keep``.
        void: 'background': void pixels are of class 0, as in the public code; 'leave_out': of no
            class, and patches all void are not kept.
        storage: Type of the kept features, see :func:`mmdssl.evaluation.patch_memory.rounding`.

    Returns:
        Features of unit length and pixels by class of the kept patches.

    Raises:
        ValueError: If draws are missing.
    """
    patches = pixels_of_patches(labels, features.shape[:2]).astype(np.int64)  # (n, p)
    rows = len(patches)
    valid = patches != IGNORED
    if void == 'background':
        patches[~valid], valid = 0, np.ones_like(valid)
    flat = (patches + num_classes * np.arange(rows)[:, None])[valid]
    counts = np.bincount(flat, minlength=rows * num_classes).reshape(rows, num_classes)
    chosen = np.flatnonzero(valid.any(axis=1))
    if keep is not None:
        if draws is None:
            raise ValueError('remember(keep=...) chooses patches by draws: give (h * w,) of them')
        chosen = chosen[patches_to_keep(counts[chosen], keep, draws[chosen])]
    unit = F.normalize(as_rows(features), dim=1)[torch.from_numpy(chosen)]
    kind = np.min_scalar_type(patches.shape[1])
    return unit.to(STORAGES[storage]), counts[chosen].astype(kind)


def patches_per_image(size: int | None, images: int) -> int | None:
    """Equal shares of a memory of ``size`` patches, at least one each; None: all patches.

    Raises:
        ValueError: For a size below 1.
    """
    if size is None:
        return None
    if size < 1:
        raise ValueError(f'memory_size={size} must be at least 1, or None for all patches')
    return max(1, size // max(images, 1))


def memory_draws(seed: int, image: int, patches: int) -> Float32[np.ndarray, ' n']:
    """Uniform draws of one image, whatever images are read before it or by another process."""
    return np.random.default_rng([seed, image]).random(patches, dtype=np.float32)

"""Patches with the labels of their pixels.

What in-context segmentation (:mod:`mmdssl.evaluation.in_context`) and patch k-NN segmentation
(:mod:`mmdssl.evaluation.patch_knn`) share.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64, Integer, UInt8
from torch import Tensor

__all__ = [
    'IGNORED',
    'Features',
    'LabelledPatches',
    'Maps',
    'as_rows',
    'check_images',
    'check_memory',
    'pixels_of_patches',
    'pixels_per_patch',
]

IGNORED = 255

# By image, or put together.
Features = (
    Float[np.ndarray, '...']
    | Float[Tensor, '...']
    | Sequence[Float[np.ndarray, '...'] | Float[Tensor, '...']]
)
Maps = Integer[np.ndarray, '...'] | Sequence[Integer[np.ndarray, '...']]


def check_images(
    features: Features,
    maps: Maps,
    *,
    num_classes: int,
    side: str,
    ignored: Sequence[int] = (),
    first: int = 0,
) -> None:
    """Judge one side, the bank or the queries, in words.

    Args:
        features: (h, w, C) by image.
        maps: (H, W) int by image.
        num_classes: Labels are 0 .. ``num_classes - 1``, or 255 for ignored pixels.
        side: What the sentences call it.
        ignored: Further classes that are not scored.
        first: Number of the first image, for the sentences.

    Raises:
        ValueError: If there are no images, a map does not fit its features, channels differ, a
            label is no class or ``ignored`` names none.
    """
    if not len(features) or len(features) != len(maps):
        raise ValueError(
            f'the {side} has {len(features)} feature maps and {len(maps)} label maps: give at '
            'least one image, with one of each; check the tags and the annotations of the data'
        )
    if any(not 0 <= label < num_classes for label in ignored):
        raise ValueError(
            f'ignored={tuple(ignored)} must be classes, 0 to {num_classes - 1}; pixels of 255 are '
            'ignored anyway'
        )
    channels = np.shape(features[0])[-1]
    for number, (one, map_) in enumerate(zip(features, maps, strict=True), start=first):
        if np.ndim(one) != 3 or np.ndim(map_) != 2 or np.shape(one)[-1] != channels:
            raise ValueError(
                f'image {number} of the {side} has features of shape {tuple(np.shape(one))} and a '
                f'map of {tuple(np.shape(map_))}: give (h, w, {channels}) and (H, W)'
            )
        height, width = np.shape(one)[:2]
        if np.shape(map_)[0] % height or np.shape(map_)[1] % width:
            raise ValueError(
                f'the label map of image {number} of the {side} has {np.shape(map_)} pixels, which '
                f'do not divide into its {height} x {width} patches: bring map and photo to one '
                'size (ResizeWithMap without map_size), a multiple of the patch'
            )
        beyond = map_[(map_ >= num_classes) & (map_ != IGNORED)]
        if beyond.size or map_.min() < 0:
            raise ValueError(
                f'the label map of image {number} of the {side} has label '
                f'{beyond.max() if beyond.size else map_.min()}, but there are {num_classes} '
                f'classes, labels 0 to {num_classes - 1} and 255: correct the classes or the map'
            )


def as_rows(features: Float[np.ndarray, 'h w c'] | Float[Tensor, 'h w c']) -> Float[Tensor, 'n c']:
    """Patches (h * w, C) float32 of a feature map, row by row."""
    return torch.as_tensor(features).detach().float().cpu().flatten(0, 1)


def pixels_of_patches(
    labels: Integer[np.ndarray, 'a b'], grid: Sequence[int]
) -> Integer[np.ndarray, 'n p']:
    """Labels of the pixels of every patch.

    Args:
        labels: (H, W).
        grid: (h, w) patches, which divide the map.

    Returns:
        (h * w, H / h * W / w), patches and their pixels row by row.
    """
    height, width = grid
    tall, wide = labels.shape[0] // height, labels.shape[1] // width
    cells = labels.reshape(height, tall, width, wide).swapaxes(1, 2)  # (h, w, H/h, W/w)
    return np.ascontiguousarray(cells).reshape(height * width, tall * wide)


def check_memory(size: int, k: int) -> None:
    """Refuse a memory without patches, or with fewer than are asked for.

    Raises:
        ValueError: So.
    """
    if not size:
        raise ValueError(
            'the memory is empty: no bank image has a labelled patch; check the tag of the bank, '
            'its label maps and memory_size'
        )
    if not 1 <= k <= size:
        raise ValueError(
            f'k={k} neighbours of a memory of {size} patches: lower k, or use more bank images or '
            'a larger memory'
        )


def pixels_per_patch(features: Features, maps: Maps) -> int:
    """Pixels of a patch, the same in all images.

    Raises:
        ValueError: If they are not.
    """
    found = {
        (np.shape(map_)[0] // np.shape(one)[0], np.shape(map_)[1] // np.shape(one)[1])
        for one, map_ in zip(features, maps, strict=True)
    }
    if len(found) > 1:
        raise ValueError(
            f'the patches differ in size ({", ".join(map(str, sorted(found)))} pixels): bring '
            'photos and maps to one size with ResizeWithMap'
        )
    height, width = found.pop()
    return height * width


@dataclass
class LabelledPatches:
    """Patches of some images, with the labels of their pixels.

    Attributes:
        features: (n_i, C) by image.
        labels: (n_i, p) by image.
    """

    features: list[Float[Tensor, '_ c']]
    labels: list[UInt8[np.ndarray, '_ p']]

    @classmethod
    def of(cls, features: Features, maps: Maps) -> 'LabelledPatches':
        """From feature maps (h, w, C) and label maps (H, W), multiples of them."""
        labels = [
            pixels_of_patches(map_, np.shape(one)[:2]).astype(np.uint8)
            for one, map_ in zip(features, maps, strict=True)
        ]
        return cls([as_rows(one) for one in features], labels)

    def __add__(self, other: 'LabelledPatches') -> 'LabelledPatches':
        return LabelledPatches(self.features + other.features, self.labels + other.labels)

    def split(self, chosen: Bool[np.ndarray, ' n']) -> tuple['LabelledPatches', 'LabelledPatches']:
        """The images not chosen, and the chosen ones."""
        sides = []
        for side in (False, True):
            numbers = np.flatnonzero(chosen == side)
            sides.append(
                LabelledPatches(
                    [self.features[n] for n in numbers], [self.labels[n] for n in numbers]
                )
            )
        return sides[0], sides[1]

    def standardise(
        self, mean: Float64[np.ndarray, ' c'], scale: Float64[np.ndarray, ' c']
    ) -> None:
        """Take the mean off and divide by the scale, image by image: features exist once."""
        shift, factor = torch.from_numpy(mean), torch.from_numpy(1 / scale)
        for number, one in enumerate(self.features):
            self.features[number] = ((one.double() - shift) * factor).float()

    def drop(self, ignored: Sequence[int]) -> None:
        """Leave out the patches whose commonest label (of equals the lowest) is ignored."""
        for number, labels in enumerate(self.labels):
            kept = np.isin(_commonest(labels), tuple(ignored), invert=True)
            self.features[number] = self.features[number][torch.from_numpy(kept)]
            self.labels[number] = labels[kept]


def _commonest(labels: UInt8[np.ndarray, 'n p']) -> Int64[np.ndarray, ' n']:
    rows = len(labels)
    flat = labels.astype(np.int64) + 256 * np.arange(rows)[:, None]
    return np.bincount(flat.ravel(), minlength=256 * rows).reshape(rows, 256).argmax(axis=1)

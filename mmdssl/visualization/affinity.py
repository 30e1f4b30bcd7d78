"""Point affinity: which places of a photo have the feature of one chosen place?

"Mind Your Augmentation" (ICLR 2024), App. H.1: the final map is interpolated
(theirs: 56 x 56 for a 448 px image) and one of its points compared, by cosine,
with all. A dense feature of an object should light up the object and not its
surroundings.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from torch import Tensor, nn

from mmdssl.evaluation.features import dense_map
from mmdssl.evaluation.guards import evaluating
from mmdssl.visualization.figure import photo_image, picture_axes, save_figure, sheet

__all__ = ['affinity_of', 'draw_affinity', 'point_affinity']

_MAP = 'cividis'  # even in lightness, the same to colour-blind readers


def point_affinity(features: Tensor, points: Tensor, *, size: int = 56) -> Tensor:
    """Cosine of the features at chosen points with those of all places.

    Args:
        features: (C, h, w) dense map.
        points: (P, 2) x, y as shares of width and height, in [0, 1].
        size: Side of the square map the features are interpolated to (bilinear).

    Returns:
        (P, size, size) float32 cosines in [-1, 1]; 1 at the cell of the point.

    Raises:
        ValueError: For points outside the image.
    """
    if points.numel() and (points.min() < 0 or points.max() > 1):
        raise ValueError(f'points are shares of width and height, in [0, 1]; got {points.tolist()}')
    grown = F.interpolate(
        features[None].float(), size=(size, size), mode='bilinear', align_corners=False
    )
    unit = F.normalize(grown[0].flatten(1), dim=0)  # (C, size*size)
    cells = (points * size).long().clamp(max=size - 1)  # (P, 2): x, y
    chosen = unit[:, cells[:, 1] * size + cells[:, 0]]  # (C, P)
    return (chosen.T @ unit).unflatten(1, (size, size))


@torch.no_grad()
def affinity_of(backbone: nn.Module, images: Tensor, points: Tensor, *, size: int = 56) -> Tensor:
    """Point affinity of a frozen backbone on several images.

    Args:
        backbone: As for ``mmdssl.evaluation.features.dense_map``; used in eval mode.
        images: (N, 3, H, W) float, normalised.
        points: (N, P, 2) x, y in [0, 1].
        size: Side of the maps.

    Returns:
        (N, P, size, size) cosines.
    """
    with evaluating(backbone):
        maps = dense_map(backbone, images)
    pairs = zip(maps, points, strict=True)
    return torch.stack([point_affinity(features, own, size=size) for features, own in pairs])


def draw_affinity(
    images: Tensor | Sequence[np.ndarray],
    points: Tensor,
    maps: Mapping[str, Tensor],
    path: str | Path,
) -> Path:
    """Photos with their points in the first row, then one row of maps per network.

    Every network has one colour scale for all its maps, from its lowest cosine to
    1; the scale is printed, because an untrained network's cosines span a sliver only.

    Args:
        images: (N, 3, H, W) uint8 RGB, or of n channels.
        points: (N, P, 2) x, y in [0, 1].
        maps: (N, P, S, S) cosines by name of the network.
        path: PNG to write.

    Returns:
        The path written.
    """
    number, per_image = points.shape[:2]
    columns = number * per_image
    figure, axes = sheet(
        1 + len(maps), columns, width=1.4 + 1.25 * columns, height=0.2 + 1.3 * (1 + len(maps))
    )
    for column in range(columns):
        image, point = divmod(column, per_image)
        photo = photo_image(images[image])
        x, y = points[image, point].tolist()
        place = picture_axes(axes[0, column])
        place.imshow(photo)
        _mark(place, x * photo.shape[1] - 0.5, y * photo.shape[0] - 0.5)
        for row, cosines in enumerate(maps.values(), start=1):
            low = float(cosines.min())
            blended = _blend(photo, cosines[image, point].numpy(), low)
            place = picture_axes(axes[row, column])
            place.imshow(blended)
            _mark(place, x * photo.shape[1] - 0.5, y * photo.shape[0] - 0.5)
    axes[0, 0].set_ylabel('image,\nchosen point', rotation=0, ha='right', va='center', labelpad=6)
    for row, (name, cosines) in enumerate(maps.items(), start=1):
        axes[row, 0].set_ylabel(name, rotation=0, ha='right', va='center', labelpad=6)
        scale = ScalarMappable(Normalize(float(cosines.min()), 1.0), cmap=_MAP)
        bar = figure.colorbar(scale, ax=list(axes[row]), shrink=0.85, aspect=12, pad=0.01)
        bar.set_label('cosine', fontsize=7.5)
        bar.ax.tick_params(labelsize=7)
        bar.outline.set_visible(False)
    return save_figure(figure, path)


def _blend(photo: np.ndarray, cosines: np.ndarray, low: float) -> np.ndarray:
    """Colour-coded cosines over the grey photo: (H, W, 3) float in [0, 1]."""
    height, width = photo.shape[:2]
    grown = F.interpolate(
        torch.from_numpy(cosines)[None, None], size=(height, width), mode='bilinear'
    )[0, 0].numpy()
    coloured = colormaps[_MAP](Normalize(low, 1.0)(grown))[..., :3]
    grey = photo.astype(np.float32).mean(axis=2, keepdims=True) / 255
    return 0.75 * coloured + 0.25 * grey


def _mark(place: Axes, x: float, y: float) -> None:
    """A cross in a ring, readable on light and dark ground."""
    place.plot(x, y, 'o', markersize=8, mfc='none', mec='white', mew=2.5)
    place.plot(x, y, 'o', markersize=8, mfc='none', mec='#D55E00', mew=1.2)

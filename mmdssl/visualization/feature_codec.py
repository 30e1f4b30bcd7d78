"""Dense features small enough for a web page, with cosines that stay right.

A map of unit vectors is turned so that the first axis is its mean direction and the others are
its principal components; what differs from the mean is rounded to 8 bits with one step for all.
So a network whose cosines span a sliver only (a random one: 0.95 to 1) gets a finer step than one
whose features point everywhere, and components that vary less than a step become zeros, which
deflate removes. The lengths of the vectors are kept apart, in full: interpolation needs them.
"""

import zlib
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ['PackedFeatures', 'pack_features', 'packing_error', 'unpack_features']


@dataclass(frozen=True)
class PackedFeatures:
    """One map.

    Attributes:
        codes: (D, h * w) int8; D axes, the first that of the mean.
        lengths: (h * w,) float32, lengths of the features.
        grid: (h, w).
        step: Value of one code.
        mean: Length of the mean of the unit features, to be added on the first axis.
    """

    codes: np.ndarray
    lengths: np.ndarray
    grid: tuple[int, int]
    step: float
    mean: float

    def to_bytes(self) -> bytes:
        """Lengths (little-endian float32), then codes row by row, zlib-compressed."""
        return zlib.compress(self.lengths.astype('<f4').tobytes() + self.codes.tobytes(), 9)


def pack_features(features: Tensor, *, components: int = 256) -> PackedFeatures:
    """Reduce and quantise a map.

    Args:
        features: (C, h, w).
        components: Axes beside the mean's, at most; of these, trailing ones that would be zero
            everywhere are left out.

    Raises:
        ValueError: If ``features`` are no map, not finite, or ``components`` is below 1.
    """
    if features.ndim != 3 or not bool(torch.isfinite(features).all()):
        raise ValueError(f'features are one finite map (C, h, w), got {tuple(features.shape)}')
    if components < 1:
        raise ValueError(f'components={components} must be at least 1')
    grid = (int(features.shape[1]), int(features.shape[2]))
    vectors = features.detach().float().cpu().flatten(1).T  # (h*w, C)
    lengths = vectors.norm(dim=1)
    unit = F.normalize(vectors, dim=1)
    mean = unit.mean(dim=0)
    axis = F.normalize(mean, dim=0)
    rest = unit - mean
    along = rest @ axis  # (h*w,)
    across = rest - along[:, None] * axis
    _, _, basis = torch.linalg.svd(across, full_matrices=False)
    values = torch.cat([along[:, None], across @ basis[:components].T], dim=1)  # (h*w, D)
    step = max(float(values.abs().max()) / 127, 1e-12)
    codes = torch.round(values / step).to(torch.int8).T.numpy()
    used = np.flatnonzero(np.abs(codes).max(axis=1))
    codes = codes[: max(1, used[-1] + 1 if len(used) else 1)]
    return PackedFeatures(
        np.ascontiguousarray(codes), lengths.numpy(), grid, step, float(mean.norm())
    )


def unpack_features(packed: PackedFeatures) -> Tensor:
    """The map (D, h, w) float32 in the turned axes: its cosines are those of the features."""
    values = torch.from_numpy(packed.codes.astype(np.float32)) * packed.step
    values[0] += packed.mean
    return (values * torch.from_numpy(packed.lengths)).unflatten(1, packed.grid)


def packing_error(
    features: Tensor, packed: PackedFeatures, *, size: int = 56, points: int = 64
) -> tuple[float, float]:
    """How far the packed features' point affinities are from exact ones.

    Args:
        features: (C, h, w), what was packed.
        packed: The packed map.
        size: Side of the interpolated maps, see :func:`point_affinity`.
        points: Evenly spaced points that are compared with all places.

    Returns:
        Largest and root mean square difference of the cosines.
    """
    cells = torch.arange(points) * (size * size) // points
    exact, rough = (_affinities(one.float().cpu(), cells, size) for one in (
        features.detach(), unpack_features(packed)
    ))  # fmt: skip
    difference = exact - rough
    return float(difference.abs().max()), float(difference.square().mean().sqrt())


def _affinities(features: Tensor, cells: Tensor, size: int) -> Tensor:
    """Cosines (P, size**2) of chosen cells of the interpolated map with all."""
    grown = F.interpolate(features[None], size=(size, size), mode='bilinear', align_corners=False)
    unit = F.normalize(grown[0].flatten(1), dim=0)
    return unit[:, cells].T @ unit

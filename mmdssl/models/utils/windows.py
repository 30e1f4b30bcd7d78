"""Fixed windows on a view, the same windows in another view, and the mean of a map over a window.

ReSim (ICCV 2021) slides windows over the query view and finds each again in the key view by
geometry. What a map has in a window is its exact mean (precise RoI pooling, one bin): the map is
taken as a surface, bilinear between cells and zero outside, and integrated over the window. Cell i
lies at coordinate i there, without the half a cell that RoIAlign adds, so that a window's border in
pixels is divided by the stride and nothing else. The integral parts into one over rows and one over
columns,

    mean = 1/area * sum over r, c of F[r, c] a_r b_c,   a_r = T(y1 - r) - T(y0 - r),

with T the integral of the hat max(0, 1 - |t|).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ['grid_windows', 'same_windows', 'window_means']

#: Key window of a query window that the key does not show.
_NOWHERE = (0.0, 0.0, 1.0, 1.0)


def grid_windows(
    height: int, width: int, *, size: int, stride: int, dtype: torch.dtype = torch.float64
) -> Float[Tensor, 'k 4']:
    """Windows that slide over a view, row by row; those that reach its far border are left out.

    Args:
        height: Of the view, in pixels.
        width: Of the view.
        size: Side of a window in pixels.
        stride: Pixels between two windows.
        dtype: Of the result.

    Returns:
        (K, 4), x1 y1 x2 y2 in pixels of the view; at 224 px 36 of size 48 and stride 32, 64 of
        size 32 and stride 24.
    """
    tops = torch.arange(0, max(height - size, 0), stride)
    lefts = torch.arange(0, max(width - size, 0), stride)
    top, left = torch.meshgrid(tops, lefts, indexing='ij')
    corner = torch.stack((left, top), dim=-1).flatten(0, 1)  # (K, 2) x, y
    return torch.cat((corner, corner + size), dim=1).to(dtype)


def same_windows(
    windows: Float[Tensor, 'k 4'],
    query: Float[Tensor, 'n 4'],
    key: Float[Tensor, 'n 4'],
    *,
    query_size: tuple[int, int],
    key_size: tuple[int, int],
) -> tuple[Float[Tensor, 'n k 4'], Bool[Tensor, 'n k']]:
    """Windows of the query view where the key view shows them.

    Args:
        windows: (K, 4) in pixels of the query view.
        query: (N, 4) signed boxes (:mod:`mmdssl.models.utils.cell_places`) of the query views in
            pixels of the image.
        key: (N, 4) those of the key views; mirrored as the query is.
        query_size: (height, width) of the query views in pixels.
        key_size: Those of the key views.

    Returns:
        (N, K, 4) in pixels of the key view, and (N, K) whether it shows the whole window, short of
        its far borders; where not, the window is (0, 0, 1, 1).
    """
    pixels = windows.new_tensor(query_size[::-1] * 2)
    shares = windows.to(query.dtype) / pixels.to(query.dtype)
    near, far = query[:, None, :2].repeat(1, 1, 2), query[:, None, 2:].repeat(1, 1, 2)
    there = near + shares * (far - near)  # (N, K, 4) in the image
    near, far = key[:, None, :2].repeat(1, 1, 2), key[:, None, 2:].repeat(1, 1, 2)
    end = key.new_tensor(key_size[::-1] * 2)
    found = (there - near) / (far - near) * end
    valid = (found[..., :2] >= 0).all(dim=-1) & (found[..., 2:] < end[2:]).all(dim=-1)
    return torch.where(valid[..., None], found, found.new_tensor(_NOWHERE)), valid


def window_means(
    maps: Float[Tensor, 'n c h w'],
    windows: Float[Tensor, 'n k 4'],
    *,
    scale: tuple[float, float],
    weights: Float[Tensor, 'n h w'] | None = None,
) -> Float[Tensor, 'n k c']:
    """Means of maps over windows; differentiable in the maps.

    Args:
        maps: (N, C, h, w).
        windows: (N, K, 4), x1 y1 x2 y2 in pixels.
        scale: Cells a pixel, of rows and of columns.
        weights: (N, h, w) >= 0 of each cell: the weighted mean; None: alike.

    Returns:
        (N, K, C), at least float32; zeros for an empty window and where all weights are 0.
    """
    with torch.autocast(maps.device.type, enabled=False):
        dtype = torch.float64 if maps.dtype == torch.float64 else torch.float32
        rows = _shares(windows[..., 1::2] * scale[0], maps.shape[2]).to(dtype)  # (N, K, h)
        columns = _shares(windows[..., ::2] * scale[1], maps.shape[3]).to(dtype)
        maps = maps.to(dtype)
        if weights is None:
            return _integral(maps, rows, columns)
        weights = weights.to(dtype)[:, None]  # (N, 1, h, w)
        total = _integral(weights, rows, columns)
        return _integral(maps * weights, rows, columns) / total.clamp_min(1e-6)


def _integral(
    maps: Float[Tensor, 'n c h w'], rows: Float[Tensor, 'n k h'], columns: Float[Tensor, 'n k w']
) -> Float[Tensor, 'n k c']:
    along = torch.einsum('nchw,nkw->nckh', maps, columns)
    return torch.einsum('nckh,nkh->nkc', along, rows)


def _shares(ends: Float[Tensor, 'n k 2'], cells: int) -> Float[Tensor, 'n k {cells}']:
    """Integral of each cell's hat between two ends, over their distance; 0 where that is none."""
    place = torch.arange(cells, device=ends.device, dtype=ends.dtype)
    low, high = ends[..., :1], ends[..., 1:]
    length = high - low
    part = _hat_integral(high - place) - _hat_integral(low - place)
    return torch.where(length > 0, part / length.clamp_min(1e-12), 0.0)


def _hat_integral(t: Float[Tensor, '*n']) -> Float[Tensor, '*n']:
    """Integral of max(0, 1 - |s|) from minus infinity to t."""
    t = t.clamp(-1, 1)
    return torch.where(t < 0, (t + 1) ** 2 / 2, 1 - (1 - t) ** 2 / 2)

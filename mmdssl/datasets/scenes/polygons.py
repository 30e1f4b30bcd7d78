"""Masks to COCO polygons that decode to exactly the same pixels.

Outlines run along pixel edges with integer corners, so rasterising them gives the mask back bit
by bit; a hole is joined to its outline by a seam of no width, since COCO polygons know no holes.
"""

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ['mask_to_polygons']

Points = npt.NDArray[np.int64]


def mask_to_polygons(
    mask: npt.NDArray[np.bool_], offset: tuple[int, int] = (0, 0)
) -> list[list[int]]:
    """Outline a mask.

    Args:
        mask: (h, w) bool.
        offset: Where in its image the mask begins, (x, y) in pixels.

    Returns:
        One polygon ``[x0, y0, x1, y1, ...]`` per 8-connected part, in pixel coordinates where
        pixel (x, y) covers [x, x + 1] x [y, y + 1]. `pycocotools` decodes their union to ``mask``,
        shifted by ``offset``.
    """
    # At double size every pixel has a left and a right, an upper and a lower half, so the
    # contour through pixel centres that OpenCV gives tells on which side the edge lies.
    double = cv2.resize(mask.astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    contours, hierarchy = cv2.findContours(double, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return []
    outlines = [_corners(contour[:, 0, :].astype(np.int64)) for contour in contours]
    polygons = []
    for outline, (_, _, hole, parent) in zip(outlines, hierarchy[0], strict=True):
        if parent >= 0:
            continue
        while hole >= 0:
            outline = _join(outline, outlines[hole])
            hole = hierarchy[0][hole][0]
        polygons.append((outline + np.asarray(offset)).ravel().tolist())
    return polygons


def _corners(contour: Points) -> Points:
    """Double-size contour (P, 2) to the corners of the pixel-edge outline (Q, 2)."""
    points = (contour + 1) // 2  # even: the near edge of the pixel, odd: the far edge
    points = points[(points != np.roll(points, 1, axis=0)).any(axis=1)]
    before = points - np.roll(points, 1, axis=0)
    after = np.roll(points, -1, axis=0) - points
    straight = before[:, 0] * after[:, 1] == before[:, 1] * after[:, 0]
    back = (before * after).sum(axis=1) < 0
    return points[~straight | back]


def _join(outline: Points, hole: Points) -> Points:
    """One closed outline around both: there and back along a seam between two near corners."""
    distance = np.abs(outline[:, None] - hole[None]).sum(axis=2)
    i, j = np.unravel_index(int(distance.argmin()), distance.shape)
    around = np.concatenate([hole[j:], hole[: j + 1]])
    return np.concatenate([outline[: i + 1], around, outline[i:]])

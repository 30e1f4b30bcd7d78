"""Instance masks that cost nothing until somebody looks: flat arrays, decoded on demand.

COCO's 860,000 outlines as Python lists take gigabytes. Here polygons lie in one array of
coordinates, run-length codes in one byte buffer, and a sample carries slices of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from mmdssl.datasets.image_list import ByteStrings

__all__ = ['InstanceMasks', 'MaskStore']


@dataclass(frozen=True)
class InstanceMasks:
    """The masks of one image's objects, N of them, in the pixels of the image as stored.

    Transforms do not move these masks: decode before the image changes its geometry.

    Attributes:
        shape: (height, width) of the image.
        outlines: For each object a list of polygons, each (2 P,) float64 ``x0, y0, x1, y1, ...``,
            or a compressed run-length code (bytes), or None where the file has no outline.
    """

    shape: tuple[int, int]
    outlines: tuple[list[npt.NDArray[np.float64]] | bytes | None, ...]

    def __len__(self) -> int:
        return len(self.outlines)

    def __getitem__(self, index: int) -> npt.NDArray[np.bool_]:
        """Mask of one object, (height, width) bool, True inside.

        Raises:
            ValueError: The object has no outline.
        """
        from pycocotools import mask as coco_mask  # heavy and optional: only where masks are used

        outline = self.outlines[index]
        height, width = self.shape
        if outline is None:
            raise ValueError(f'object {index} has no segmentation in the annotation file')
        if isinstance(outline, bytes):
            code = {'size': [height, width], 'counts': outline}
        else:
            polygons = [polygon.tolist() for polygon in outline]
            code = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
        return coco_mask.decode(code).astype(bool)

    def decode(self) -> npt.NDArray[np.bool_]:
        """All masks, (N, height, width) bool."""
        masks = np.zeros((len(self), *self.shape), bool)
        for index in range(len(self)):
            masks[index] = self[index]
        return masks


class MaskStore:
    """Outlines of all objects of a data set.

    Args:
        segmentations: Per object what a COCO file has under ``segmentation``: a list of polygons,
            a run-length code (compressed or not), or None.
    """

    def __init__(self, segmentations: Iterable[Any]) -> None:
        coordinates: list[npt.NDArray[np.float64]] = []
        lengths, polygons, codes = [0], [0], []
        for segmentation in segmentations:
            code = b''
            if isinstance(segmentation, dict):
                code = _compressed(segmentation)
            else:
                for polygon in segmentation or ():
                    if len(polygon) < 6:  # no area; pycocotools would take four numbers for a box
                        continue
                    coordinates.append(np.asarray(polygon, np.float64))
                    lengths.append(len(polygon))
            polygons.append(len(lengths) - 1)
            codes.append(code)
        self._coordinates = np.concatenate(coordinates) if coordinates else np.empty(0)
        self._starts = np.cumsum(np.asarray(lengths, np.int64))  # of polygons in coordinates
        self._polygons = np.asarray(polygons, np.int64)  # of objects in polygons
        self._codes = ByteStrings.pack(codes)

    def __len__(self) -> int:
        return len(self._polygons) - 1

    def slice(self, start: int, stop: int, shape: tuple[int, int]) -> InstanceMasks:
        """Masks of the objects ``start`` to ``stop`` of an image of ``shape`` (height, width)."""
        return InstanceMasks(shape, tuple(self._outline(row) for row in range(start, stop)))

    def _outline(self, row: int) -> list[npt.NDArray[np.float64]] | bytes | None:
        code = self._codes[row]
        if code:
            return code
        first, last = self._polygons[row], self._polygons[row + 1]
        bounds = self._starts[first : last + 1]
        return [self._coordinates[a:b] for a, b in pairwise(bounds)] or None


def _compressed(code: dict[str, Any]) -> bytes:
    """The compressed form of a run-length code."""
    counts = code['counts']
    if isinstance(counts, list):
        from pycocotools import mask as coco_mask

        counts = coco_mask.frPyObjects(code, *code['size'])['counts']
    return counts if isinstance(counts, bytes) else counts.encode()

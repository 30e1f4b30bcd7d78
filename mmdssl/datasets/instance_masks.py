"""Instance masks that cost nothing until somebody looks: flat arrays, decoded on demand.

COCO's 860,000 outlines as Python lists take gigabytes. Here polygons lie in one array of
coordinates, run-length codes in one byte buffer, and a sample carries slices of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mmdssl.datasets.image_list import ByteStrings
from mmdssl.datasets.outlines import Outline, clip_polygon

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
            near = (clip_polygon(polygon, self.shape).tolist() for polygon in outline)
            polygons = [polygon for polygon in near if len(polygon) >= 6]
            if not polygons:
                return np.zeros(self.shape, bool)
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
        outlines: One per object, as `parse_outline` gives them.
    """

    def __init__(self, outlines: Iterable[Outline | None]) -> None:
        coordinates: list[npt.NDArray[np.float64]] = []
        lengths, polygons, codes = [0], [0], []
        for outline in outlines:
            code = outline if isinstance(outline, bytes) else b''
            for polygon in outline if isinstance(outline, list) else ():
                coordinates.append(polygon)
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

"""The masks RCC is compared with: plain cutout, blocks, random patches, one foreground rectangle.

All share the settings of :class:`MaskTransform`; ``ratio`` is always the share
that is cut. The default ratios are those of the ablations in "Mind Your
Augmentation" (ICLR 2024), Sec. 6.1 and App. G.1.
"""

from math import exp, log, sqrt
from typing import Any

import numpy as np

from mmdssl.datasets.transforms.canvas import make_canvas
from mmdssl.datasets.transforms.mask_transform import MaskTransform, parse_range
from mmdssl.datasets.transforms.random_streams import RandomSource
from mmdssl.datasets.transforms.region_collaborative_cutout import check_choice, cut_regions
from mmdssl.registry import TRANSFORMS

__all__ = ['BlockwiseMask', 'EmptyMask', 'ProposalCutout', 'RandomPatchMask', 'RectangleForeground']


@TRANSFORMS.register_module()
class ProposalCutout(MaskTransform):
    """Plain cutout per region: each region is cut as if it were alone (Alg. 1).

    Where regions overlap, so do the cuts, and the share a region loses grows
    with the number of regions. Each region draws a ratio of its own.

    Args:
        ratio: share to cut out of each region.
        place: ``'inside'`` keeps the cut within the region; ``'straddle'``
            (Alg. 1) lets it start up to one cut-length before the region.
        **kwargs: of :class:`MaskTransform`.
    """

    def __init__(
        self,
        *,
        ratio: float | tuple[float, float] = (0.3, 0.5),
        place: str = 'inside',
        **kwargs: Any,
    ) -> None:
        super().__init__(ratio=ratio, **kwargs)
        self.place = check_choice('place', place, ('inside', 'straddle'))

    def draw(
        self, results: dict[str, Any], height: int, width: int, rng: RandomSource
    ) -> np.ndarray:
        """One mask of the regions in ``results``."""
        boxes, scale = self.regions_of(results, height, width)
        low, high = self.ratio
        return cut_regions(
            boxes,
            scale=scale,
            ratios=(low + (high - low) * rng.random(len(boxes))).tolist(),
            height=height,
            width=width,
            draws=rng.random(2 * len(boxes)).tolist(),
            collaborative=False,
            place=self.place,
        )


@TRANSFORMS.register_module()
class EmptyMask(MaskTransform):
    """Cuts nothing: for the views without a mask where others have one.

    A batch holds a mask for every view or for none, so that masks and views
    cannot be mistaken for each other.

    Args:
        **kwargs: ``mask_size`` and ``key`` of :class:`MaskTransform`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(ratio=0.0, **kwargs)

    def draw(
        self, results: dict[str, Any], height: int, width: int, rng: RandomSource
    ) -> np.ndarray:
        """All False."""
        return np.zeros((height, width), bool)


@TRANSFORMS.register_module()
class BlockwiseMask(MaskTransform):
    """Blocks of cells until the target number is reached (BEiT's masks in iBOT's variant).

    The target is ``int(ratio * cells)``. A block has an area uniform between
    ``min_area`` and what is still missing, and a log-uniform aspect ratio; it
    is taken if it fits into the grid and adds at least one new cell and no more
    than are missing. The mask ends early when ten draws in a row give no such
    block, so it may hold fewer cells than the target, never more.

    Needs no regions.

    Args:
        ratio: share to cut. Original iBOT: (0.1, 0.5) with ``empty_prob=0.5``.
        min_area: least area of a block in cells; None for iBOT's
            (min(h, w) // 3)^2, 16 on a 14 x 14 grid.
        aspect: range of height / width of a block.
        **kwargs: of :class:`MaskTransform`.
    """

    TRIES = 10

    def __init__(
        self,
        *,
        ratio: float | tuple[float, float] = (0.3, 0.5),
        min_area: int | None = None,
        aspect: tuple[float, float] = (0.3, 1 / 0.3),
        **kwargs: Any,
    ) -> None:
        super().__init__(ratio=ratio, **kwargs)
        if min_area is not None and min_area < 1:
            raise ValueError(f'BlockwiseMask: min_area is at least 1 cell, not {min_area}')
        self.min_area = min_area
        self.aspect = parse_range(aspect, 'BlockwiseMask: aspect', 1e-3, 1e3)

    def draw(
        self, results: dict[str, Any], height: int, width: int, rng: RandomSource
    ) -> np.ndarray:
        """One mask."""
        canvas = make_canvas(height, width)
        missing = int(self.draw_ratio(rng) * height * width)
        min_area = self.min_area or max((min(height, width) // 3) ** 2, 1)
        low_aspect, span_aspect = log(self.aspect[0]), log(self.aspect[1] / self.aspect[0])
        while missing > 0:
            for size, shape, x, y in rng.random((self.TRIES, 4)).tolist():
                # With less than min_area missing the area lies between the two all the same.
                area = min_area + (missing - min_area) * size
                aspect = exp(low_aspect + span_aspect * shape)
                block_height, block_width = round(sqrt(area * aspect)), round(sqrt(area / aspect))
                if not (0 < block_height < height and 0 < block_width < width):
                    continue
                left = int(x * (width - block_width + 1))
                top = int(y * (height - block_height + 1))
                block = left, top, left + block_width, top + block_height
                added = block_height * block_width - canvas.count(*block)
                if 0 < added <= missing:
                    canvas.cut(*block)
                    missing -= added
                    break
            else:
                break
        return canvas.to_array()


@TRANSFORMS.register_module()
class RandomPatchMask(MaskTransform):
    """Single patches at random, ``round(ratio * patches)`` of them. Needs no regions.

    Args:
        ratio: share of patches to cut.
        patch_size: side of a patch in pixels for a mask of image resolution;
            with a ``mask_size`` each cell is a patch.
        **kwargs: of :class:`MaskTransform`.
    """

    def __init__(
        self,
        *,
        ratio: float | tuple[float, float] = (0.4, 0.6),
        patch_size: int = 16,
        **kwargs: Any,
    ) -> None:
        super().__init__(ratio=ratio, **kwargs)
        if patch_size < 1:
            raise ValueError(f'RandomPatchMask: patch_size is at least 1 pixel, not {patch_size}')
        self.patch_size = patch_size

    def draw(
        self, results: dict[str, Any], height: int, width: int, rng: RandomSource
    ) -> np.ndarray:
        """One mask."""
        side = 1 if self.mask_size else self.patch_size
        rows, columns = -(-height // side), -(-width // side)  # the last ones may be cut short
        count = round(self.draw_ratio(rng) * rows * columns)
        mask: np.ndarray = np.zeros((rows, columns), bool)
        mask.flat[rng.permutation(rows * columns)[:count]] = True
        if side > 1:
            mask = mask.repeat(side, axis=0).repeat(side, axis=1)[:height, :width]
        return np.ascontiguousarray(mask)


@TRANSFORMS.register_module()
class RectangleForeground(MaskTransform):
    """Everything is cut but one random rectangle, the foreground. Needs no regions.

    Args:
        ratio: share to cut; the default leaves a foreground of 0.2 to 0.6 of
            the image.
        aspect: range of width / height of the rectangle in cells, log-uniform.
            It is narrowed where the rectangle would not fit otherwise.
        **kwargs: of :class:`MaskTransform`.
    """

    def __init__(
        self,
        *,
        ratio: float | tuple[float, float] = (0.4, 0.8),
        aspect: tuple[float, float] = (2 / 3, 3 / 2),
        **kwargs: Any,
    ) -> None:
        super().__init__(ratio=ratio, **kwargs)
        self.aspect = parse_range(aspect, 'RectangleForeground: aspect', 1e-3, 1e3)

    def draw(
        self, results: dict[str, Any], height: int, width: int, rng: RandomSource
    ) -> np.ndarray:
        """One mask."""
        area = (1.0 - self.draw_ratio(rng)) * height * width
        shape, x, y = rng.random(3).tolist()
        # The width sqrt(area * aspect) fits up to aspect = width^2 / area, the height down to
        # area / height^2; both bounds coincide at the full image only.
        if area > 0.0:
            low = min(max(self.aspect[0], area / height**2), width**2 / area)
            high = max(min(self.aspect[1], width**2 / area), low)
            aspect = low * (high / low) ** shape
            box_width = min(round(sqrt(area * aspect)), width)
            box_height = min(round(sqrt(area / aspect)), height)
        else:
            box_width = box_height = 0
        left, top = int(x * (width - box_width + 1)), int(y * (height - box_height + 1))
        mask = np.ones((height, width), bool)
        mask[top : top + box_height, left : left + box_width] = False
        return mask

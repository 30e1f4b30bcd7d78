"""How much of each region a cutout rule really cuts: the statistic of Fig. 11.

"Mind Your Augmentation" (ICLR 2024), App. D.1: with more regions the cuts of
plain cutout pile up, while Region Collaborative Cutout stays at the ratio asked
for. Here for every reading of the paper's Algorithms 1 and 2, so that the
choice between paper and official code is a measured one.
"""

from collections.abc import Sequence
from math import log
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from mmdssl.datasets.transforms.random_streams import RandomSource
from mmdssl.datasets.transforms.region_collaborative_cutout import cut_regions, rasterise

__all__ = [
    'CUTOUT_VARIANTS',
    'cut_shares',
    'cutout_examples',
    'cutout_ratio_curve',
    'random_regions',
]

#: Readings of Alg. 1 (cutout) and Alg. 2 (RCC): arguments of ``cut_regions`` by label.
CUTOUT_VARIANTS: dict[str, dict[str, Any]] = {
    'Cutout, inside': dict(collaborative=False),
    'RCC, inside, area (default)': dict(),
    'Cutout, straddling': dict(collaborative=False, place='straddle'),
    'RCC, straddling, area': dict(place='straddle'),
    'RCC, straddling, side': dict(place='straddle', scale_mode='side'),
    'RCC, literal Alg. 2': dict(place='straddle', scale_mode='side', ratio_rule='literal'),
}


def cut_shares(
    boxes: Float[np.ndarray, 'n 4'] | Sequence[Sequence[float]], mask: Bool[np.ndarray, 'h w']
) -> Float[np.ndarray, ' n']:
    """Share of each region that a mask cuts.

    Args:
        boxes: (N, 4) x1 y1 x2 y2 in cells of the mask, float.
        mask: bool (h, w), True = cut.

    Returns:
        float64 (N,) in [0, 1].
    """
    cells, _ = rasterise(boxes, *mask.shape)
    return np.array([mask[y1 : y2 + 1, x1 : x2 + 1].mean() for x1, y1, x2, y2 in cells])


def random_regions(
    count: int,
    rng: RandomSource,
    *,
    scale: tuple[float, float] = (0.2, 1.0),
    aspect: tuple[float, float] = (0.5, 2.0),
) -> Float[np.ndarray, '{count} 4']:
    """Regions anywhere in the image: centre uniform, clipped at the border.

    Args:
        count: number of regions.
        rng: where to draw from.
        scale: range of the area before clipping, as a share of the image.
        aspect: range of width / height, log-uniform.

    Returns:
        float64 (count, 4), x1 y1 x2 y2 as shares of the image in [0, 1].
    """
    uniforms = rng.random((count, 4))
    area = scale[0] + (scale[1] - scale[0]) * uniforms[:, 0]
    ratio = aspect[0] * np.exp(log(aspect[1] / aspect[0]) * uniforms[:, 1])
    half = np.sqrt(np.stack([area * ratio, area / ratio], axis=1)) / 2
    center = uniforms[:, 2:]
    return np.concatenate([center - half, center + half], axis=1).clip(0.0, 1.0)


def cutout_ratio_curve(
    *,
    counts: Sequence[int] = (1, 2, 4, 6, 8, 10, 12, 16),
    ratio: float = 0.4,
    size: int = 224,
    repeats: int = 500,
    seed: int = 0,
    variants: Sequence[str] = tuple(CUTOUT_VARIANTS),
) -> list[dict[str, Any]]:
    """Realised cutout ratio against the number of regions, for several rules.

    Args:
        counts: numbers of regions.
        ratio: share every region is to lose.
        size: side of the mask in pixels.
        repeats: masks per point.
        seed: seed of the draws; all variants see the same regions.
        variants: keys of :data:`CUTOUT_VARIANTS`.

    Returns:
        A row per point: ``variant``, ``regions``, ``realised`` (mean over masks
        of the mean over regions), ``standard_error`` and ``area`` (mean cut
        share of the whole mask).
    """
    rows = []
    for variant in variants:
        settings = CUTOUT_VARIANTS[variant]
        for count in counts:
            rng = np.random.default_rng([seed, count])
            realised, area = np.empty(repeats), np.empty(repeats)
            for index in range(repeats):
                boxes = random_regions(count, rng) * size
                draws = rng.random(2 * count).tolist()
                mask = cut_regions(
                    boxes,
                    ratios=[ratio] * count,
                    height=size,
                    width=size,
                    draws=draws,
                    **settings,
                )
                realised[index] = cut_shares(boxes, mask).mean()
                area[index] = mask.mean()
            error = realised.std(ddof=1) / np.sqrt(repeats) if repeats > 1 else float('nan')
            rows.append(
                {
                    'variant': variant,
                    'regions': count,
                    'realised': float(realised.mean()),
                    'standard_error': float(error),
                    'area': float(area.mean()),
                }
            )
    return rows


def cutout_examples(
    *,
    regions: int = 4,
    count: int = 6,
    ratio: float = 0.4,
    size: int = 224,
    seed: int = 0,
    variants: Sequence[str] = tuple(CUTOUT_VARIANTS),
) -> tuple[
    list[Float[np.ndarray, '{regions} 4']], dict[str, list[Bool[np.ndarray, '{size} {size}']]]
]:
    """A few masks of every rule on the same regions and from the same draws, to look at.

    Args:
        regions: number of regions of a mask.
        count: number of masks.
        ratio: share every region is to lose.
        size: side of the masks in pixels.
        seed: seed of the draws.
        variants: keys of :data:`CUTOUT_VARIANTS`.

    Returns:
        The regions of each mask, float64 (regions, 4) as shares of the image,
        and the masks, bool (size, size), by variant.
    """
    rng = np.random.default_rng(seed)
    boxes = [random_regions(regions, rng) for _ in range(count)]
    draws = [rng.random(2 * regions).tolist() for _ in range(count)]
    masks = {
        variant: [
            cut_regions(
                boxes[index] * size,
                ratios=[ratio] * regions,
                height=size,
                width=size,
                draws=draws[index],
                **CUTOUT_VARIANTS[variant],
            )
            for index in range(count)
        ]
        for variant in variants
    }
    return boxes, masks

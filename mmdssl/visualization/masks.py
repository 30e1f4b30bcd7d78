"""Pictures of masks: kinds of masks on the same regions (like Fig. 12 of the paper) and the curve
of Fig. 11, "Mind Your Augmentation" (ICLR 2024), App. D."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.patches import Rectangle

from mmdssl.visualization.figure import COLOURS, MUTED, overlay, picture_axes, save_figure, sheet

__all__ = ['draw_cutout_ratio', 'draw_masks']

_ORDER = ('vermillion', 'blue', 'orange', 'green', 'purple', 'sky')


def draw_masks(
    masks: Mapping[str, Sequence[np.ndarray]],
    path: str | Path,
    *,
    boxes: Sequence[np.ndarray | None] | None = None,
    image: np.ndarray | None = None,
) -> Path:
    """Draw several masks of each kind: a row per kind, a column per draw.

    Args:
        masks: bool (h, w) arrays by label, True = cut; as many for each label.
        path: PNG to write.
        boxes: regions of each column, (N, 4) x1 y1 x2 y2 as shares of the image
            in [0, 1]; None where there are none.
        image: uint8 (H, W, 3) RGB behind the masks; None for plain grey.

    Returns:
        The path written.
    """
    columns = max(len(row) for row in masks.values())
    figure, axes = sheet(len(masks), columns, width=1.8 + 1.2 * columns, height=1.4 * len(masks))
    if image is None:
        image = np.full((224, 224, 3), 235, np.uint8)
    height, width = image.shape[:2]
    for line, (label, row) in zip(axes, masks.items(), strict=True):
        line[0].set_ylabel(label, rotation=0, ha='right', va='center', labelpad=6)
        for column, (place, mask) in enumerate(zip(line, row, strict=True)):
            picture_axes(place)
            place.imshow(overlay(image, mask, colour=COLOURS['blue']), interpolation='nearest')
            place.set_xlabel(f'{mask.mean():.0%} cut', fontsize=7, color=MUTED, labelpad=2)
            regions = None if boxes is None else boxes[column]
            for x1, y1, x2, y2 in [] if regions is None else regions:
                # imshow centres pixel 0 on 0: the left edge of the picture is -0.5.
                corner = x1 * width - 0.5, y1 * height - 0.5
                size = (x2 - x1) * width, (y2 - y1) * height
                outline = Rectangle(corner, *size, fill=False, edgecolor=COLOURS['vermillion'])
                place.add_patch(outline)
    return save_figure(figure, path)


def draw_cutout_ratio(
    rows: Sequence[Mapping[str, Any]], path: str | Path, *, ratio: float = 0.4
) -> Path:
    """Draw the realised cutout ratio against the number of regions (Fig. 11).

    Args:
        rows: as :func:`mmdssl.evaluation.cutout_ratio.cutout_ratio_curve` gives them.
        path: PNG to write.
        ratio: the ratio asked for, drawn as a line.

    Returns:
        The path written.
    """
    figure, grid = sheet(1, 1, width=7.0, height=4.0)
    axes = grid[0, 0]
    axes.axhline(ratio, color=MUTED, linewidth=1.0, linestyle='--', label=f'asked for: {ratio:g}')
    for index, variant in enumerate(dict.fromkeys(row['variant'] for row in rows)):
        points = [row for row in rows if row['variant'] == variant]
        axes.errorbar(
            [row['regions'] for row in points],
            [row['realised'] for row in points],
            yerr=[row['standard_error'] for row in points],
            label=variant,
            color=COLOURS[_ORDER[index % len(_ORDER)]],
            linestyle='-' if 'RCC' in variant else ':',
            marker='o' if 'RCC' in variant else 's',
            markersize=4,
        )
    axes.set_title('What a region really loses')
    axes.set_xlabel('regions per image')
    axes.set_ylabel('cut share of a region, mean')
    axes.set_ylim(0.0, 1.0)
    axes.set_xticks(sorted({row['regions'] for row in rows}))
    figure.legend(loc='outside right upper', frameon=False, fontsize=8)
    return save_figure(figure, path, dpi=150)

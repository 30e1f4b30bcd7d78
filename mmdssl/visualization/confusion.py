"""Which class the neighbours of an object vote for: confusion of O-KNN, networks side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from mmdssl.visualization.figure import MUTED, picture_axes, save_figure, sheet

__all__ = ['draw_confusion', 'merge_rare']

_MAP = 'cividis'  # even in lightness, the same to colour-blind readers


def merge_rare(
    confusions: Mapping[str, np.ndarray], classes: Sequence[str], limit: int
) -> tuple[dict[str, np.ndarray], list[str]]:
    """The most frequent classes in order, all others as one.

    Args:
        confusions: By network, (C, C) numbers of objects; row: class, column: prediction.
        classes: C names.
        limit: Classes to keep apart.

    Returns:
        Matrices (c, c) that hold the same objects, and c names, the last 'n other classes' where
        so many were merged. Classes that no object has and nobody was taken for are left out.

    Raises:
        ValueError: If there is no matrix, or one is not (C, C).
    """
    wrong = {name: m.shape for name, m in confusions.items() if m.shape != (len(classes),) * 2}
    if wrong or not confusions:
        raise ValueError(
            f'{len(classes)} classes need matrices of that size, got {wrong or "none"}'
        )
    total = sum(confusions.values(), np.zeros((len(classes),) * 2, np.int64))
    frequent = np.argsort(-total.sum(axis=1), kind='stable')
    used = [i for i in frequent if total[i].any() or total[:, i].any()]
    kept, rest = used[:limit], used[limit:]
    group = np.zeros((len(classes), len(kept) + bool(rest)), np.int64)
    group[kept, np.arange(len(kept))] = 1
    if rest:
        group[rest, -1] = 1
    names = [classes[i] for i in kept] + ([f'{len(rest)} other classes'] if rest else [])
    return {name: group.T @ matrix @ group for name, matrix in confusions.items()}, names


def draw_confusion(
    confusions: Mapping[str, np.ndarray],
    classes: Sequence[str],
    path: str | Path,
    *,
    limit: int = 20,
) -> Path:
    """A matrix for each network: how a class's objects (a row, 100 %) are called.

    Args:
        confusions: By network, (C, C) numbers of objects, as ``ObjectKNN.confusion``; networks
            were measured on the same objects, so that all have the order of the classes.
        classes: C names.
        path: PNG to write.
        limit: Classes, the most frequent ones, to show apart.

    Returns:
        The path written.

    Raises:
        ValueError: See :func:`merge_rare`.
    """
    merged, names = merge_rare(confusions, classes, limit)
    count = len(names)
    side = 1.6 + 0.19 * count
    figure, axes = sheet(1, len(merged), width=1.6 + side * len(merged), height=1.6 + side)
    norm = Normalize(0, 100)
    for number, (place, (network, matrix)) in enumerate(zip(axes[0], merged.items(), strict=True)):
        objects = matrix.sum(axis=1)
        share = 100 * matrix / np.maximum(objects, 1)[:, None]
        picture_axes(place).imshow(share, cmap=_MAP, norm=norm, interpolation='nearest')
        right = 100 * np.trace(confusions[network]) / max(confusions[network].sum(), 1)
        title = f'{network}: {right:.1f} % right'
        place.set_title(title, loc='left', fontsize=10, fontweight='bold')
        place.set_xticks(range(count), names, rotation=90, fontsize=6.5)
        if number == 0:
            labels = [f'{name} ({n})' for name, n in zip(names, objects, strict=True)]
            place.set_yticks(range(count), labels, fontsize=6.5)
            place.set_ylabel('class of the object (number of objects)')
        place.set_xlabel('class its neighbours vote for')
        place.tick_params(length=0)
    bar = figure.colorbar(ScalarMappable(norm, _MAP), ax=list(axes[0]), shrink=0.7, pad=0.01)
    bar.set_label('% of the objects of a class', fontsize=7.5)
    bar.ax.tick_params(labelsize=7, colors=MUTED)
    bar.outline.set_visible(False)
    return save_figure(figure, path, dpi=130)

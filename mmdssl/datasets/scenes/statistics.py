"""How strongly the classes of a set of scenes really go with backgrounds and neighbours."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmdssl.datasets.scenes.spec import SceneSpec

__all__ = ['association']


def association(
    spec: SceneSpec, backgrounds: Sequence[int], labels: Sequence[Sequence[int]]
) -> dict[str, Any]:
    """Counts and shares of a set of scenes.

    Args:
        spec: Parameters of the set.
        backgrounds: Background kind of each image.
        labels: Class indices of the objects of each image.

    Returns:
        Ready for json:

        - ``images``, ``objects``, ``objects_per_image`` (number of images by number of objects),
          ``objects_per_class``,
        - ``class_background``: objects by class name and background kind,
        - ``tied_share``: share of objects whose class is tied to their background, and what the
          context bias lets expect, ``b + (1 - b) |group| / C``,
        - ``neighbour_share``: share of the pairs of objects in an image that belong to one group,
        - ``cramers_v``: association of class and background, 0 none, 1 complete.
    """
    counts = np.asarray([len(entry) for entry in labels], int)
    flat = np.concatenate([np.asarray(entry, int) for entry in [*labels, []]])
    behind = np.repeat(np.asarray(backgrounds, int), counts)
    table = np.zeros((len(spec.classes), len(spec.backgrounds)), int)
    np.add.at(table, (flat, behind), 1)

    group = np.asarray([entry.group for entry in spec.classes])
    image = np.repeat(np.arange(len(counts)), counts)
    members = np.zeros((len(counts), len(spec.backgrounds)), int)
    np.add.at(members, (image, group[flat]), 1)
    pairs = (counts * (counts - 1)).sum()
    same = (members * (members - 1)).sum()
    sizes = np.asarray([len(g) for g in spec.groups]) / len(spec.classes)
    chance = sizes[np.asarray(backgrounds, int)].repeat(counts)
    bias = spec.context_bias
    return {
        'images': len(counts),
        'objects': int(counts.sum()),
        'objects_per_image': np.bincount(counts).tolist(),
        'objects_per_class': {
            entry.name: int(n) for entry, n in zip(spec.classes, table.sum(axis=1), strict=True)
        },
        'class_background': {
            entry.name: dict(zip(spec.backgrounds, row, strict=True))
            for entry, row in zip(spec.classes, table.tolist(), strict=True)
        },
        'tied_share': float((group[flat] == behind).mean()) if len(flat) else None,
        'tied_share_expected': float(bias + (1 - bias) * chance.mean()) if len(flat) else None,
        'neighbour_share': float(same / pairs) if pairs else None,
        'cramers_v': _cramers_v(table),
    }


def _cramers_v(table: np.ndarray) -> float | None:
    """Cramér's V of a contingency table, empty rows and columns left out."""
    table = table[table.any(axis=1)][:, table.any(axis=0)]
    if min(table.shape) < 2:
        return None
    total = table.sum()
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / total
    chi2 = ((table - expected) ** 2 / expected).sum()
    return float(np.sqrt(chi2 / (total * (min(table.shape) - 1))))

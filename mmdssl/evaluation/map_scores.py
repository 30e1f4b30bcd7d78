"""How predicted label maps are scored, by both readings of the mean IoU.

In-context segmentation means over all classes, and one that does not occur counts 0; patch k-NN
segmentation means over the classes that occur, true or predicted.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int64, Integer, UInt8

from mmdssl.evaluation.bootstrap import bootstrap_sums, percentile_interval
from mmdssl.evaluation.labelled_patches import IGNORED, Maps
from mmdssl.evaluation.segmentation import confusion, match_clusters

__all__ = ['class_counts', 'interval', 'ious', 'score_maps', 'score_votes']


def class_counts(table: Int64[np.ndarray, 'c d']) -> Int64[np.ndarray, '3 c']:
    """Pixels hit, of every true class and of every predicted class: what scores are made of.

    Args:
        table: Confusion by true and predicted class (square).
    """
    return np.stack([np.diagonal(table), table.sum(axis=1), table.sum(axis=0)])


def ious(counts: Integer[np.ndarray, '... 3 c']) -> Float[np.ndarray, '... c']:
    """Intersection over union of every class; NaN for one neither true nor predicted."""
    hits, true, given = np.moveaxis(counts, -2, 0)
    with np.errstate(invalid='ignore'):
        return hits / (true + given - hits)


def interval(
    counts: Iterable[Integer[np.ndarray, '3 c']],
    *,
    absent_counts: bool,
    samples: int,
    seed: int = 0,
) -> dict[str, Any]:
    """Ends of the 95 % interval of the mean IoU in percent, by drawing images anew.

    Args:
        counts: :func:`class_counts` by image.
        absent_counts: A class that does not occur counts 0, else it does not count.
        samples: Sets of images drawn; 0: no interval.
        seed: Of the draws.

    Returns:
        ``miou_low`` and ``miou_high``, or nothing.
    """
    if not samples:
        return {}
    stacked = np.stack(list(counts))  # (n, 3, C)
    sums = bootstrap_sums(stacked.reshape(len(stacked), -1), samples=samples, seed=seed)
    found = ious(sums.reshape(samples, *stacked.shape[1:]))
    means = np.nan_to_num(found).mean(axis=1) if absent_counts else np.nanmean(found, axis=1)
    low, high = percentile_interval(100 * means)
    return dict(miou_low=low, miou_high=high)


def score_maps(
    predictions: Integer[np.ndarray, '...'] | Iterable[Integer[np.ndarray, '...']],
    maps: Maps,
    *,
    num_classes: int,
    ignored: Sequence[int] = (),
    bootstrap: int = 0,
    seed: int = 0,
) -> tuple[dict[str, float], Int64[np.ndarray, '{num_classes} {num_classes}']]:
    """mIoU over all classes, by both readings; a class that does not occur counts 0.

    Args:
        predictions: (H, W) by image.
        maps: True labels of the same sizes; 255 is passed over.
        num_classes: Classes the mean runs over.
        ignored: Classes whose pixels are passed over as well (they still count 0 in the mean).
        bootstrap: Sets of images drawn for the interval of ``miou``, 0 for none.
        seed: Of these draws.

    Returns:
        ``miou``: predictions as they are; ``miou_hungarian``: predicted classes matched to true
        ones first, as the public code does; ``accuracy`` of pixels; all in percent; and the
        confusion by true and predicted class.
    """
    tables = []
    total = np.zeros((num_classes, num_classes), np.int64)
    for given, truth in zip(predictions, maps, strict=True):
        scored = np.where(np.isin(truth, tuple(ignored)), IGNORED, truth)
        table = confusion(scored, given, num_classes=num_classes, num_clusters=num_classes)
        total += table
        tables.append(class_counts(table))
    identity = np.nan_to_num(ious(class_counts(total)))
    scores = dict(
        miou=100 * float(identity.mean()),
        miou_hungarian=100 * match_clusters(total, match='hungarian').miou,
        accuracy=100 * float(np.trace(total) / max(total.sum(), 1)),
    )
    return scores | interval(tables, absent_counts=True, samples=bootstrap, seed=seed), total


def score_votes(
    predictions: Sequence[UInt8[np.ndarray, '_ p']],
    labels: Sequence[UInt8[np.ndarray, '_ p']],
    *,
    num_classes: int,
    ignored: Sequence[int] = (),
    bootstrap: int = 0,
    seed: int = 0,
) -> dict[str, Any]:
    """Mean IoU over the classes that occur, true or predicted, and accuracy, in percent.

    Args:
        predictions: (n_i, p) by image.
        labels: The same, true; pixels of ignored labels are passed over.
        num_classes: Number of classes.
        ignored: Labels that are not scored, beside 255.
        bootstrap: Sets of images drawn for the interval of ``miou``, 0 for none.
        seed: Of these draws.

    Returns:
        ``miou``, in which an ignored label that is predicted is a class of IoU 0 (the public code),
        ``miou_without_ignored``, in which it is none, ``accuracy``, and ends of the interval.
    """
    beyond = num_classes  # 255, in a table without gaps
    skipped = (*ignored, beyond)
    tables = []
    total = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    for given, truth in zip(predictions, labels, strict=True):
        scored = np.where(np.isin(truth, (*ignored, IGNORED)), IGNORED, truth)
        own = confusion(
            scored,
            np.where(given == IGNORED, beyond, given),
            num_classes=num_classes,
            num_clusters=num_classes + 1,
        )
        total[:-1] += own
        tables.append(class_counts(np.pad(own, ((0, 1), (0, 0)))))
    found = ious(class_counts(total))
    if not total.any():
        raise ValueError('no pixel of the queries has a class to be scored: check their label maps')
    ends = interval(tables, absent_counts=False, samples=bootstrap, seed=seed)
    kept = np.delete(found, skipped)
    return dict(
        miou=100 * float(np.nanmean(found)),
        miou_without_ignored=100 * float(np.nanmean(kept)),
        accuracy=100 * float(np.trace(total) / total.sum()),
        **ends,
    )

"""What a study computes without a network, for figures of masks alone."""

from collections.abc import Callable, Mapping
from typing import Any

from mmdssl.evaluation.cutout_ratio import cutout_ratio_curve

__all__ = ['STATISTICS', 'compute']


def _cutout_ratio(*, variant: str, repeats: int, seed: int) -> dict[str, float]:
    """Percent that a region loses, by the number of regions (Fig. 11): ``'cutout@8/percent'``."""
    rows = cutout_ratio_curve(variants=[variant], repeats=repeats, seed=seed)
    return {f'cutout@{row["regions"]}/percent': 100 * row['realised'] for row in rows}


STATISTICS: Mapping[str, Callable[..., dict[str, float]]] = {'cutout_ratio': _cutout_ratio}


def compute(statistic: Mapping[str, Any], *, repeats: int, seed: int) -> dict[str, float]:
    """Numbers by name.

    Args:
        statistic: Its name ``'type'`` and its arguments.
        repeats: How often it is drawn.
        seed: Of the draws.

    Raises:
        ValueError: If there is no such statistic.
    """
    arguments = dict(statistic)
    name = arguments.pop('type')
    if name not in STATISTICS:
        raise ValueError(f'there is no statistic {name!r}: choose from {" ".join(STATISTICS)}')
    return STATISTICS[name](**arguments, repeats=repeats, seed=seed)

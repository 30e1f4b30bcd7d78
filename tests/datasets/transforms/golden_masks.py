"""Comparison of mask statistics with those of the official functions (rcc_stats.json)."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mmdssl.evaluation.cutout_ratio import cut_shares


def load_cases(path: Path, pattern: str) -> dict[str, tuple[re.Match, dict[str, Any]]]:
    """Entries of the file whose name matches, with the match; fails where there are none."""
    cases = json.loads(path.read_text())
    found = {
        name: (match, case)
        for name, case in cases.items()
        if (match := re.fullmatch(pattern, name)) is not None
    }
    assert found, f'{path} holds no case like {pattern}'
    return found


def assert_same_distribution(
    name: str,
    want: dict[str, Any],
    draw: Callable[[], tuple[np.ndarray | None, np.ndarray]],
) -> None:
    """Draws as many masks as the case holds and compares every statistic of it.

    Args:
        name: of the case, for messages.
        want: the case.
        draw: gives the regions in cells (None where a mask has none) and the mask.
    """
    count = want['n']
    areas, shares = np.empty(count), []
    for index in range(count):
        boxes, mask = draw()
        areas[index] = mask.mean()
        if boxes is not None:
            shares.append(cut_shares(boxes, mask))
    # 4 standard errors of the difference of two samples of this size, or 0.01 (golden README)
    both = 4 * np.sqrt(2 / count)

    def close(what: str, got: float, wanted: float, spread: float) -> None:
        allowed = max(both * spread, 0.01)
        assert abs(got - wanted) <= allowed, f'{name}: {what} {got:.4f}, want {wanted:.4f}'

    close('area mean', areas.mean(), want['area_mean'], want['area_std'])
    # The standard error of a standard deviation is about a factor sqrt(2) below the mean's.
    close('area std', areas.std(), want['area_std'], want['area_std'])
    empty = want['empty_share']
    close('empty share', (areas == 0).mean(), empty, np.sqrt(empty * (1 - empty)))
    assert areas.min() >= want['area_min'] - 0.1, f'{name}: a mask of {areas.min():.3f} only'
    assert areas.max() <= want['area_max'] + 0.1, f'{name}: a mask of {areas.max():.3f}'
    if 'area_quantiles_05_25_50_75_95' in want:
        # Areas come in steps, so compare levels: q is a level-quantile of ours, too.
        for level, quantile in zip(
            (0.05, 0.25, 0.5, 0.75, 0.95), want['area_quantiles_05_25_50_75_95'], strict=True
        ):
            below, up_to = (areas < quantile - 1e-9).mean(), (areas <= quantile + 1e-9).mean()
            allowed = max(both * np.sqrt(level * (1 - level)), 0.01)
            assert below - allowed <= level <= up_to + allowed, (
                f'{name}: area {quantile:.4f} lies between the quantiles {below:.3f} and '
                f'{up_to:.3f} of ours, want {level}'
            )
    if shares:
        by_mask = np.stack(shares)  # (masks, regions)
        mean, std = by_mask.mean(axis=1), want['realised_per_box_std_over_masks']
        close('realised ratio', mean.mean(), want['realised_per_box_mean'], std)
        close('std of the realised ratio', mean.std(), std, std)
        for row, wanted in enumerate(want['realised_by_box_index']):
            column = by_mask[:, row]
            close(f'realised ratio of region {row}', column.mean(), wanted, column.std())

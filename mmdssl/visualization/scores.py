"""Scores of several networks side by side, each with the interval it may lie in."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mmdssl.visualization.figure import COLOURS, save_figure, sheet

__all__ = ['draw_scores']

_ORDER = ('blue', 'vermillion', 'green', 'purple', 'orange', 'sky')
_MARKERS = 'osD^vP'

#: Value, lower and upper end of its interval.
Interval = tuple[float, float, float]


def draw_scores(
    panels: Mapping[str, Mapping[str, Mapping[str, Interval]]],
    path: str | Path,
    *,
    label: str,
    intervals: str,
) -> Path:
    """Points with error bars: a panel per score, in it the rows, for each the networks.

    Args:
        panels: By panel, row (from top to bottom) and network: value and interval.
        path: PNG to write.
        label: Of the axis of values.
        intervals: What the bars are, e.g. '95 % interval over query images'.

    Returns:
        The path written.

    Raises:
        ValueError: If there is nothing to draw.
    """
    rows = list(dict.fromkeys(row for panel in panels.values() for row in panel))
    networks = list(
        dict.fromkeys(n for panel in panels.values() for r in panel.values() for n in r)
    )
    if not networks:
        raise ValueError('draw_scores got no values: measure at least one network')
    height = 1.3 + 0.24 * len(rows) * (len(networks) + 0.6)
    figure, axes = sheet(1, len(panels), width=3.0 + 3.2 * len(panels), height=height)
    for place, (title, panel) in zip(axes[0], panels.items(), strict=True):
        for number, network in enumerate(networks):
            found = [(i, panel[row][network]) for i, row in enumerate(rows) if row in panel]
            y = np.array([i for i, _ in found]) + _offset(number, len(networks))
            value, low, high = np.array([interval for _, interval in found]).T
            place.errorbar(
                value,
                y,
                xerr=np.maximum([value - low, high - value], 0),
                fmt=_MARKERS[number % len(_MARKERS)],
                color=COLOURS[_ORDER[number % len(_ORDER)]],
                markersize=5,
                capsize=2,
                label=network,
            )
        place.set_ylim(len(rows) - 0.5, -0.5)
        place.set_yticks(range(len(rows)), rows)
        place.tick_params(axis='y', length=0, labelleft=place is axes[0, 0])
        place.grid(visible=False, axis='y')
        place.set_title(title, loc='left', fontsize=10, fontweight='bold')
        place.set_xlabel(label)
        place.margins(x=0.08)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        loc='outside lower center',
        ncols=4,
        title=intervals,
        title_fontsize=8,
        fontsize=8,
        frameon=False,
    )
    return save_figure(figure, path)


def _offset(number: int, networks: int) -> float:
    """Place of a network within a row of height 1."""
    return 0.7 * ((number + 0.5) / networks - 0.5)

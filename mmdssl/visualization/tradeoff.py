"""Coupling against O-KNN along training: what de-coupling costs, or gives, at every moment.

A table at the end of training cannot tell an arm that depends less on context from one that has
learned less. Curves can: both arms start at one network, and the better one lies above the
other at the same coupling.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mmdssl.visualization.figure import COLOURS, INK, MUTED, save_figure, sheet

__all__ = ['Trajectory', 'draw_tradeoff']


@dataclass(frozen=True)
class Trajectory:
    """An arm.

    Attributes:
        label: For the legend.
        points: (seeds, points, 2): x and y at each measurement of each seed; one point for an arm
            that was measured at its end only.
        colour: Name in :data:`COLOURS`.
        marker: Of matplotlib, for the end of training.
    """

    label: str
    points: np.ndarray
    colour: str
    marker: str = 'o'


def draw_tradeoff(
    panels: Sequence[Mapping[str, Sequence[Trajectory]]],
    path: str | Path,
    *,
    y_label: str = 'O-KNN top-1, %',
    title: str = '',
) -> Path:
    """A row of panels per y, a panel per measure of coupling and family.

    Args:
        panels: Rows of panels; each is a mapping of ``'family | x label'`` to its arms.
        path: PNG to write.
        y_label: Of every panel.
        title: Above all.

    Returns:
        The path written.
    """
    columns = max(len(row) for row in panels)
    width, height = 1 + 3.7 * columns, 0.6 + 3.6 * len(panels)
    figure, axes = sheet(len(panels), columns, width=width, height=height)
    for line, row in zip(axes, panels, strict=True):
        for one in line[len(row) :]:
            one.set_visible(False)
        for one, (name, arms) in zip(line, row.items(), strict=False):
            family, _, x_label = name.partition(' | ')
            one.set_title(family)
            one.set(xlabel=x_label, ylabel=y_label)
            one.xaxis.set_major_locator(MaxNLocator(nbins=5))
            for arm in arms:
                _draw(one, arm)
    seen = {
        text: handle
        for one in axes.flat
        for handle, text in zip(*one.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        seen.values(), seen.keys(), loc='outside lower center', ncols=4, fontsize=8, frameon=False
    )
    if title:
        figure.suptitle(title, fontsize=10)
    return save_figure(figure, path)


def _draw(axes: Axes, arm: Trajectory) -> None:
    """Thin lines for the seeds, a thick one for their mean, its end marked with the spread."""
    colour = COLOURS[arm.colour]
    mean = arm.points.mean(axis=0)  # (points, 2)
    if len(mean) > 1:
        for seed in arm.points:
            axes.plot(*seed.T, color=colour, linewidth=0.7, alpha=0.35)
        axes.plot(*mean.T, color=colour, marker='o', markersize=2.5)
        axes.plot(
            *mean[0],
            color=MUTED,
            marker='X',
            markersize=8,
            linestyle='',
            label='before the first step',
        )
    x, y = mean[-1]
    error = arm.points[:, -1].std(axis=0, ddof=1) if len(arm.points) > 1 else (0, 0)
    axes.errorbar(
        x,
        y,
        xerr=error[0],
        yerr=error[1],
        color=colour,
        ecolor=colour,
        elinewidth=0.9,
        capsize=2,
        marker=arm.marker,
        markersize=8,
        markeredgecolor=INK,
        markeredgewidth=0.6,
        linestyle='-' if len(mean) > 1 else '',
        label=arm.label,
    )

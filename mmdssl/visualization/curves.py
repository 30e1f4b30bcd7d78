"""Losses and O-KNN over a run, read from the files that the run itself writes."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from mmdssl.visualization.figure import COLOURS, save_figure, sheet

__all__ = ['Curve', 'draw_curves', 'read_object_knn', 'read_scalars']

_ORDER = ('blue', 'vermillion', 'green', 'purple', 'orange', 'sky')


@dataclass(frozen=True)
class Curve:
    """One number over a run.

    Attributes:
        steps: (n,) iterations, rising.
        values: (n,) the number at those iterations.
    """

    steps: np.ndarray
    values: np.ndarray


def read_scalars(work_dir: str | Path) -> dict[str, Curve]:
    """Everything mmengine logged in a working directory, by name.

    A resumed run writes a folder per start: later values replace earlier ones of
    the same iteration. A start from the beginning replaces all before it.

    Args:
        work_dir: Holds ``<start time>/vis_data/scalars.json``.

    Returns:
        Curves by name, e.g. ``'loss'``, ``'loss_patch'``, ``'lr'``.

    Raises:
        FileNotFoundError: If the folder holds no log.
    """
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not files:
        raise FileNotFoundError(
            f'no */vis_data/scalars.json in {work_dir}: give the work_dir of a run that has logged '
            'at least once'
        )
    merged: dict[str, dict[int, float]] = {}
    first = math.inf
    for file in files:
        records = [record for record in _json_lines(file) if 'step' in record]
        if not records:
            continue
        begin = min(record['step'] for record in records)
        if begin <= first:
            merged, first = {}, begin
        for record in records:
            for name, value in record.items():
                if name not in ('step', 'iter', 'epoch') and isinstance(value, int | float):
                    merged.setdefault(name, {})[int(record['step'])] = float(value)
    return {name: _curve(points) for name, points in merged.items()}


def read_object_knn(file: str | Path) -> dict[str, Curve]:
    """The curves that ``ObjectKNNHook`` wrote, by metric name, over iterations.

    Args:
        file: ``work_dir/object_knn.jsonl``, one JSON record per line.

    Returns:
        Curves by name, e.g. ``'oknn/top1'``.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    file = Path(file)
    if not file.exists():
        raise FileNotFoundError(f'{file} does not exist: train with an ObjectKNNHook first')
    points: dict[str, dict[int, float]] = {}
    for record in _json_lines(file):
        for name, value in record.items():
            if name not in ('iter', 'epoch'):
                points.setdefault(name, {})[int(record['iter'])] = float(value)
    return {name: _curve(values) for name, values in points.items()}


def draw_curves(
    losses: Mapping[str, Curve],
    scores: Mapping[str, Curve],
    path: str | Path,
    *,
    title: str = '',
    beside: Mapping[str, Curve] | None = None,
) -> Path:
    """Losses on the left, O-KNN on the right.

    Args:
        losses: Curves by the label to print.
        scores: Percentages by the label to print; a dashed line marks the first
            value of each (the untrained network, where the run began with a measurement).
        path: PNG to write.
        title: Printed above both.
        beside: Scores of a run to compare with, by the same labels: dashed in the same colours.

    Returns:
        The path written.
    """
    figure, axes = sheet(1, 2, width=9.5, height=4.0)
    left, right = axes[0]
    _lines(left, losses, marker=None)
    left.set(xlabel='iteration', ylabel='loss')
    _title(left, 'Training losses')
    _legend(left)
    _lines(right, scores, marker='o')
    for number, (colour, curve) in enumerate(zip(_ORDER, scores.values(), strict=False)):
        right.axhline(
            curve.values[0],
            color=COLOURS[colour],
            linestyle=(0, (2, 3)),
            linewidth=1,
            label=None if number else 'dotted: first measurement',
        )
    for colour, label in zip(_ORDER, scores, strict=False):
        if beside and label in beside:
            other = beside[label]
            right.plot(
                other.steps,
                other.values,
                color=COLOURS[colour],
                linestyle='--',
                linewidth=1.2,
                label=f'without the branch: {other.values[-1]:.3g}',
            )
    right.set(xlabel='iteration', ylabel='top-1, %')
    _title(right, 'Objects by nearest neighbours')
    _legend(right)
    if title:
        figure.suptitle(title, fontsize=10)
    return save_figure(figure, path)


def _lines(axes: Axes, curves: Mapping[str, Curve], *, marker: str | None) -> None:
    """Draw and label; a label also names the last value."""
    for colour, (label, curve) in zip(_ORDER * 3, curves.items(), strict=False):
        last = f'{label}: {curve.values[-1]:.3g}'
        axes.plot(
            curve.steps,
            curve.values,
            color=COLOURS[colour],
            marker=marker,
            markersize=4,
            label=last,
        )
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _legend(axes: Axes) -> None:
    """Below the picture, where it hides no curve."""
    axes.legend(loc='upper center', bbox_to_anchor=(0.5, -0.16), ncols=2, frameon=False, fontsize=8)


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc='left', fontsize=10, fontweight='bold')


def _curve(points: Mapping[int, float]) -> Curve:
    steps = sorted(points)
    return Curve(np.array(steps), np.array([points[step] for step in steps]))


def _json_lines(file: Path) -> Sequence[dict]:
    """Records of a file of JSON lines; a last line cut short by a kill is left out."""
    lines = file.read_text(encoding='utf-8').splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith('\n') and line.strip()]

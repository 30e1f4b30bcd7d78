"""The trade-off figures of a study: coupling against O-KNN, and against O-KNN-D, along training."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmdssl.studies.results import COUPLINGS, Point
from mmdssl.studies.run import Plan
from mmdssl.studies.study import Role
from mmdssl.visualization.tradeoff import Trajectory, draw_tradeoff

__all__ = ['draw_study']

# Colours of the rows of a role in their order, and the mark of their ends.
_LOOK: dict[Role, tuple[tuple[str, ...], str]] = {
    'base': (('vermillion',), 'o'),
    'variant': (('orange', 'yellow'), 'D'),
    'decoupled': (('blue', 'sky', 'green', 'purple', 'orange', 'yellow'), 's'),
    'low-lr': (('purple',), 'v'),
    'equal-compute': (('green',), '^'),
}
_X = {
    'cr_inter/last/full_angle_pooled': 'angular coupling, pooled (coupling →)',
    'bg_self/last/centred': 'background invariance (← coupling)',
}
_SCORES = {'oknn/top1': 'tradeoff.png', 'oknn_d/top1': 'tradeoff_disturbed.png'}
_LABELS = {'oknn/top1': 'O-KNN top-1, %', 'oknn_d/top1': 'O-KNN-D top-1, %'}


def draw_study(plan: Plan, folder: Path, points: Sequence[Point]) -> list[Path]:
    """One PNG each; seeds that a row has not finished are left out of its mean."""
    families = list(dict.fromkeys(plan.study.row(p.row).family for p in points))
    seeds = ' '.join(map(str, plan.seeds))
    files = []
    for score, name in _SCORES.items():
        # Side by side: one family's two measures of coupling.
        rows = [
            {f'{family} | {_X[x]}': _rows(plan, points, family, x, score) for x in COUPLINGS}
            for family in families
        ]
        title = f'{plan.study.title}; scale {plan.scale}, seeds {seeds}'
        files.append(draw_tradeoff(rows, folder / name, y_label=_LABELS[score], title=title))
    return files


def _rows(
    plan: Plan, points: Sequence[Point], family: str, coupling: str, score: str
) -> list[Trajectory]:
    found = []
    drawn: dict[Role, int] = {}
    for row in plan.study.family(family):
        seeds: dict[int, list[Point]] = {}
        for point in points:
            if point.row == row.name:
                seeds.setdefault(point.seed, []).append(point)
        if not seeds:
            continue
        curves = [
            [(p.values[coupling], p.values[score]) for p in sorted(own, key=lambda p: p.iteration)]
            for own in seeds.values()
        ]
        colours, marker = _LOOK[row.role]
        colour = colours[drawn.setdefault(row.role, 0) % len(colours)]
        drawn[row.role] += 1
        found.append(Trajectory(row.name, np.array(curves), colour, marker))
    return found

"""The trade-off figure of a study."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmdssl.miniature.arms import ARMS, Role
from mmdssl.miniature.plan import Plan
from mmdssl.miniature.results import COUPLINGS, Point
from mmdssl.visualization.tradeoff import Trajectory, draw_tradeoff

__all__ = ['draw_study']

_LOOK: dict[Role, tuple[str, str, str]] = {
    'base': ('base', 'vermillion', 'o'),
    'variant': ('with RCC masks', 'orange', 'D'),
    'decoupled': ('with the branch (-D)', 'blue', 's'),
    'low-lr': ('base, low learning rate', 'purple', 'v'),
    'equal-compute': ('base, equal compute', 'green', '^'),
}
_X = {
    'cr_inter/last/full_angle_pooled': 'CR inter, full angle, pooled (coupling →)',
    'bg_self/last/centred': 'self-cosine, other background (← coupling)',
}
_SCORES = {'oknn/top1': 'tradeoff.png', 'oknn_d/top1': 'tradeoff_disturbed.png'}
_LABELS = {'oknn/top1': 'O-KNN top-1, %', 'oknn_d/top1': 'O-KNN-D top-1, %'}


def draw_study(plan: Plan, points: Sequence[Point]) -> list[Path]:
    """Coupling against O-KNN, and against O-KNN-D, along training; one PNG each.

    Seeds that an arm has not finished are left out of its mean.
    """
    families = list(dict.fromkeys(ARMS[p.arm].family for p in points))
    title = f'regime {plan.name}, scale {plan.scale}, seeds {" ".join(map(str, plan.seeds))}'
    files = []
    for score, name in _SCORES.items():
        panels = [
            {f'{family} | {_X[coupling]}': _arms(points, family, coupling, score)}
            for family in families
            for coupling in COUPLINGS
        ]
        # Side by side: one family's two measures of coupling.
        rows = [panels[i] | panels[i + 1] for i in range(0, len(panels), 2)]
        files.append(draw_tradeoff(rows, plan.out / name, y_label=_LABELS[score], title=title))
    return files


def _arms(points: Sequence[Point], family: str, coupling: str, score: str) -> list[Trajectory]:
    found = []
    for name, arm in ARMS.items():
        seeds: dict[int, list[Point]] = {}
        for point in points:
            if point.arm == name and arm.family == family:
                seeds.setdefault(point.seed, []).append(point)
        if not seeds:
            continue
        curves = [
            [(p.values[coupling], p.values[score]) for p in sorted(own, key=lambda p: p.iteration)]
            for own in seeds.values()
        ]
        label, colour, marker = _LOOK[arm.role]
        found.append(Trajectory(label, np.array(curves), colour, marker))
    return found

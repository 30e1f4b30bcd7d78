"""The figures of a study: coupling against O-KNN and O-KNN-D along training; those of papers."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmdssl.studies.results import COUPLINGS, Point, Values, mean_and_spread
from mmdssl.studies.run import Plan
from mmdssl.studies.study import Role
from mmdssl.visualization.coupling import draw_coupling_against
from mmdssl.visualization.masks import draw_cutout_ratio
from mmdssl.visualization.tradeoff import Trajectory, draw_tradeoff

__all__ = ['draw_study']

# By curve, mean and its error at each place of an axis.
_Curves = dict[str, dict[float | str, tuple[float, float]]]

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
_SHARE = re.compile(r'cr_inter/last@([\d.]+)/mean')
_CUT = re.compile(r'cutout@(\d+)/percent')
_SCORES = {'oknn/top1': 'tradeoff.png', 'oknn_d/top1': 'tradeoff_disturbed.png'}
_LABELS = {'oknn/top1': 'O-KNN top-1, %', 'oknn_d/top1': 'O-KNN-D top-1, %'}


def draw_study(plan: Plan, folder: Path, points: Sequence[Point]) -> list[Path]:
    """One PNG each; seeds that a row has not finished are left out of its mean."""
    cut = _cut_shares(points)
    if cut:
        return [draw_cutout_ratio(cut, folder / 'cutout_ratio.png')]
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
    if plan.study.axis:
        drawn = {
            one.file: (_over_places(points, one.places), one.shows) for one in plan.study.figures
        }
        drawn = drawn or {'coupling': (_curves(plan, points), 'CR between objects')}
        for file, (curves, shows) in drawn.items():
            path = folder / f'{file}.png'
            labels = dict(xlabel=plan.study.axis, ylabel=shows)
            files.append(draw_coupling_against(curves, path, **labels))
    return files


def _cut_shares(points: Sequence[Point]) -> list[dict[str, Any]]:
    """What regions lose, as :func:`draw_cutout_ratio` wants it; errors over the seeds."""
    rows = []
    for name in dict.fromkeys(point.row for point in points):
        ends = {p.seed: p.values for p in points if p.row == name}
        keys = {key: None for values in ends.values() for key in values}
        for key, match in ((key, _CUT.fullmatch(key)) for key in keys):
            if match:
                mean, error = _mean_and_error(ends, key)
                row = dict(variant=name, regions=int(match[1]), realised=mean / 100)
                rows.append(row | dict(standard_error=error / 100))
    return rows


def _over_places(points: Sequence[Point], places: Mapping[str, str]) -> _Curves:
    """By row, and for the untrained network, mean and error over the seeds at each place."""
    found: _Curves = {}
    for name in dict.fromkeys(point.row for point in points):
        of_row = [p for p in points if p.row == name]
        for share, curve in ((1, name), (0, 'untrained')):
            ends = {p.seed: p.values for p in of_row if p.share == share}
            known = {key for values in ends.values() for key in values}
            measured: dict[float | str, tuple[float, float]] = {
                x: _mean_and_error(ends, key) for x, key in places.items() if key in known
            }
            if measured and curve not in found:
                found[curve] = measured
    if 'untrained' in found:  # last, as nothing that was trained
        found['untrained'] = found.pop('untrained')
    return found


def _curves(plan: Plan, points: Sequence[Point]) -> _Curves:
    """By curve, mean CR and its error over the seeds at each place of the axis."""
    found: _Curves = {}
    for name in dict.fromkeys(point.row for point in points):
        ends = {p.seed: p.values for p in points if p.row == name and p.share == 1}
        own = plan.study.row(name).point
        if own is not None:
            curve, place = own
            found.setdefault(curve, {})[place] = _mean_and_error(ends, 'cr_inter/last/mean')
            continue
        keys = {key for values in ends.values() for key in values}
        by_share = {float(m[1]): m[0] for m in map(_SHARE.fullmatch, keys) if m}
        found[name] = {share: _mean_and_error(ends, by_share[share]) for share in sorted(by_share)}
    return found


def _mean_and_error(ends: Mapping[int, Values], key: str) -> tuple[float, float]:
    """The error of a single seed is not known and drawn as none."""
    mean, spread, seeds = mean_and_spread(ends, key)
    return mean, spread / seeds**0.5 if seeds > 1 else 0.0


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

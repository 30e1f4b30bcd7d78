"""What the finished runs of a study say: rows, paired differences, and the base at equal coupling.

Seeds are paired, so a difference is taken within each seed before it is averaged; its standard
error says more than the two spreads. Besides the trained rows there are rows without a run of their
own: the untrained network (the base before its first step), the base stopped early (a point of its
run), and the base where its coupling was that of the row with the branch at its end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, get_args

import numpy as np

from mmdssl.studies.afterwards import START, numbers_of
from mmdssl.studies.launch import is_trained
from mmdssl.studies.measuring import read_measurements
from mmdssl.studies.run import Plan
from mmdssl.studies.scales import EARLY
from mmdssl.studies.study import Role, Study

__all__ = [
    'COUPLINGS',
    'METRICS',
    'Metric',
    'Point',
    'Summary',
    'Values',
    'at_equal_coupling',
    'comparisons',
    'family_rows',
    'mean_and_spread',
    'paired_difference',
    'read_points',
    'start_of',
]

Values = Mapping[str, float]


@dataclass(frozen=True)
class Metric:
    """A column.

    Attributes:
        key: Name in the measurements.
        label: What stands above the column.
        digits: After the point.
        better: +1 the more the better, -1 the less, 0 neither.
    """

    key: str
    label: str
    digits: int
    better: int


METRICS = (
    Metric('oknn/top1', 'O-KNN', 1, 1),
    Metric('oknn_d/top1', 'O-KNN-D', 1, 1),
    Metric('oknn_clean_bank/top1', 'clean bank', 1, 1),
    Metric('bg_self/last/centred', 'background invariance', 3, 1),
    Metric('cr_inter/last/mean', 'CR inter', 2, -1),
    Metric('cr_inter/last/clamped', 'clamped', 2, 0),
    Metric('cr_inter/last/full_angle', 'angular coupling', 3, -1),
    Metric('cr_inter/last/full_angle_pooled', 'pooled', 3, -1),
    Metric('cr_intra/last/mean', 'CR intra', 3, -1),
    Metric('cr_intra_all/last/mean', 'intra, all', 3, -1),
    Metric('mcs/last/mean', 'MCS', 3, 1),
    Metric('cost/ms', 'ms/iter', 0, -1),
    Metric('cost/memory', 'MB', 0, -1),
)
#: Measures of coupling that the trade-off is drawn against, and whether more is more coupling.
COUPLINGS: Mapping[str, int] = {
    'cr_inter/last/full_angle_pooled': 1,
    'bg_self/last/centred': -1,
}


class Point(NamedTuple):
    """A measurement.

    Attributes:
        row: Name.
        seed: Of the run.
        iteration: Iterations done.
        share: Of the schedule.
        values: Numbers by name.
    """

    row: str
    seed: int
    iteration: int
    share: float
    values: Values


class Summary(NamedTuple):
    """Of a handful of seeds.

    Attributes:
        mean: Over the seeds.
        spread: Standard deviation (rows) or standard error (differences); NaN for one seed.
        seeds: Number of seeds.
    """

    mean: float
    spread: float
    seeds: int


def read_points(plan: Plan) -> list[Point]:
    """All measurements of the trained runs; those taken afterwards stand with what they are of."""
    found = []
    for run in plan.runs:
        if is_trained(run):
            afterwards = numbers_of(run)
            of_end = {k: v for k, v in afterwards.items() if not k.startswith(START)}
            of_start = {
                k.removeprefix(START): v for k, v in afterwards.items() if k.startswith(START)
            }
            for line in read_measurements(run.folder / 'measurements.jsonl'):
                share = line['share']
                values = {k: v for k, v in line.items() if k not in ('iter', 'share', 'seconds')}
                if line['iter'] == 0:
                    values |= of_start
                if share == 1:
                    values |= of_end
                found.append(Point(run.name, run.seed, line['iter'], share, values))
    return found


def family_rows(study: Study, points: Sequence[Point], family: str) -> dict[str, dict[int, Values]]:
    """Rows of a family by name: numbers by seed. Only rows that have been measured.

    ``'random'`` and ``'early'`` come from the base; without its runs, the untrained network from
    any other row, since all begin with the same weights. Where they are those of another
    network, the row is called ``'start'``. ``'teacher'`` is the network that a family with
    random weights of its own learns from.
    """
    begin, teacher = start_of(study, family), study.row(family).teacher
    rows: dict[str, dict[int, Values]] = {begin: {}}
    names = [row.name for row in study.family(family)]
    for point in points:
        if point.row in names and point.iteration == 0:
            rows[begin][point.seed] = point.values
    if teacher and begin == 'random':
        rows['teacher'] = {p.seed: p.values for p in points if p.row == teacher and p.share == 1}
    for name in names:
        rows[name] = {p.seed: p.values for p in points if p.row == name and p.share == 1}
        if name == family:
            on_the_way = [p for p in points if p.row == name and 0 < p.share < 1]
            rows['early'] = _nearest(on_the_way, EARLY)
    return {name: found for name, found in rows.items() if found}


def start_of(study: Study, family: str) -> str:
    """What the row of a family's networks before their first step is called."""
    return 'start' if study.row(family).continues else 'random'


def _nearest(points: Sequence[Point], share: float) -> dict[int, Values]:
    """By seed, the numbers at the point nearest to a share of the run."""
    best: dict[int, Point] = {}
    for point in points:
        known = best.get(point.seed)
        if known is None or abs(point.share - share) < abs(known.share - share):
            best[point.seed] = point
    return {seed: point.values for seed, point in best.items()}


def mean_and_spread(row: Mapping[int, Values], key: str) -> Summary:
    """Mean and standard deviation over the seeds of a row."""
    values = np.array([values[key] for values in row.values() if key in values])
    return _summary(values, error=False)


def paired_difference(
    first: Mapping[int, Values], second: Mapping[int, Values], key: str
) -> Summary:
    """First minus second within each common seed: mean and its standard error."""
    common = sorted(first.keys() & second.keys())
    pairs = [(first[s], second[s]) for s in common]
    values = np.array([one[key] - two[key] for one, two in pairs if key in one and key in two])
    return _summary(values, error=True)


def _summary(values: np.ndarray, *, error: bool) -> Summary:
    count = len(values)
    mean = float(values.mean()) if count else np.nan
    spread = float(values.std(ddof=1)) if count > 1 else np.nan
    return Summary(mean, spread / count**0.5 if error and count > 1 else spread, count)


def comparisons(study: Study, rows: Mapping[str, object], family: str) -> list[tuple[str, str]]:
    """Pairs of rows whose difference is asked for, those that exist: (first, second)."""
    own = study.family(family)
    start = start_of(study, family)
    of_role = {role: [r.name for r in own if r.role == role] for role in get_args(Role)}
    wanted = [(family, start), (family, 'teacher')]
    wanted += [(name, family) for name in of_role['variant']]
    others = [family, *of_role['variant'], 'early', *of_role['low-lr'], *of_role['equal-compute']]
    wanted += [
        (name, other) for name in of_role['decoupled'] for other in (*others, start, 'teacher')
    ]
    return [(one, two) for one, two in wanted if one in rows and two in rows]


def at_equal_coupling(
    study: Study, points: Sequence[Point], name: str, coupling: str, keys: Sequence[str]
) -> dict[int, Values]:
    """The base where its coupling was that of another row's end: the first time, interpolated.

    Args:
        study: Which.
        points: Measurements.
        name: Of the other row.
        coupling: The measure of coupling.
        keys: What to interpolate.

    Returns:
        Numbers by seed; a seed whose base never had that coupling is left out.
    """
    base = study.row(name).family
    found: dict[int, Values] = {}
    for end in points:
        if end.row != name or end.share != 1:
            continue
        own = [p for p in points if p.row == base and p.seed == end.seed]
        curve = sorted(own, key=lambda p: p.iteration)
        wanted = end.values[coupling]
        for one, two in pairwise(curve):
            start, stop = one.values[coupling], two.values[coupling]
            if min(start, stop) <= wanted <= max(start, stop) and start != stop:
                part = (wanted - start) / (stop - start)
                found[end.seed] = {
                    key: one.values[key] + part * (two.values[key] - one.values[key])
                    for key in keys
                    if key in one.values and key in two.values
                }
                break
    return found

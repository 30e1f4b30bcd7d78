"""Means, paired differences and the base at equal coupling, on numbers worked out by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

from mmdssl.studies.results import (
    Point,
    at_equal_coupling,
    comparisons,
    family_rows,
    mean_and_spread,
    paired_difference,
)
from mmdssl.studies.study import load_study
from mmdssl.studies.tables import build_cells, published_tables, rich_tables

STUDY = load_study('mind_your_augmentation/controlled')
STORED = json.loads(Path(__file__).with_name('stored_results.json').read_text())

COUPLING = 'cr_inter/last/full_angle_pooled'
SHARES = (0.0, 0.2, 0.4, 0.7, 1.0)


def curve(arm, seed, couplings, scores, iters=100):
    return [
        Point(arm, seed, round(s * iters), s, {COUPLING: c, 'oknn/top1': k, 'oknn/top5': k + 20})
        for s, c, k in zip(SHARES, couplings, scores, strict=True)
    ]


@pytest.fixture
def points():
    found = []
    for seed, shift in ((11, 0.0), (12, 2.0)):
        found += curve(
            'ibot', seed, (1.0, 1.1, 1.2, 1.3, 1.4), [50 + shift + n for n in (0, 2, 4, 6, 8)]
        )
        last = 55 + 2 * shift
        found += curve('ibot-d', seed, (1.0, 1.05, 1.1, 1.12, 1.15), (50, 51, 52, 53, last))
    found.append(Point('ibot-low-lr', 11, 100, 1.0, {COUPLING: 1.1, 'oknn/top1': 53.0}))
    return found


def test_rows_hold_the_ends_and_the_net_on_its_way(points):
    rows = family_rows(STUDY, points, 'ibot')
    assert list(rows) == ['random', 'ibot', 'early', 'ibot-d', 'ibot-low-lr']
    assert rows['ibot'][12]['oknn/top1'] == 60
    assert rows['early'][11]['oknn/top1'] == 54
    assert rows['random'][11]['oknn/top1'] == 50
    assert mean_and_spread(rows['ibot'], 'oknn/top1') == (59, pytest.approx(2**0.5), 2)


def test_a_family_that_starts_from_another_net_has_no_random_one(points):
    found = [*points, *curve('leopart', 11, (1.4,) * 5, (58, 58, 59, 60, 61))]
    rows = family_rows(STUDY, found, 'leopart')
    assert list(rows) == ['start', 'leopart', 'early']
    assert rows['start'][11]['oknn/top1'] == 58
    assert comparisons(STUDY, rows, 'leopart') == [('leopart', 'start')]


def test_a_family_with_a_frozen_teacher_is_compared_with_it(points):
    found = [*points, *curve('maskalign', 11, (1.0,) * 5, (50, 52, 54, 56, 59))]
    rows = family_rows(STUDY, found, 'maskalign')
    assert list(rows) == ['random', 'teacher', 'maskalign', 'early']
    assert {seed: row['oknn/top1'] for seed, row in rows['teacher'].items()} == {11: 58, 12: 60}
    assert paired_difference(rows['maskalign'], rows['teacher'], 'oknn/top1').mean == 1
    assert comparisons(STUDY, rows, 'maskalign') == [
        ('maskalign', 'random'),
        ('maskalign', 'teacher'),
    ]


def test_differences_are_taken_within_seeds(points):
    rows = family_rows(STUDY, points, 'ibot')
    # 55 - 58 and 59 - 60.
    difference = paired_difference(rows['ibot-d'], rows['ibot'], 'oknn/top1')
    assert difference == (-2, pytest.approx(1.0), 2)
    alone = paired_difference(rows['ibot-d'], rows['ibot-low-lr'], 'oknn/top1')
    assert alone.mean == 2
    assert alone.seeds == 1
    assert np.isnan(alone.spread)
    names = comparisons(STUDY, rows, 'ibot')
    assert names == [
        ('ibot', 'random'),
        ('ibot-d', 'ibot'),
        ('ibot-d', 'early'),
        ('ibot-d', 'ibot-low-lr'),
        ('ibot-d', 'random'),
    ]


def test_base_at_equal_coupling_is_interpolated_and_only_where_it_was(points):
    # 1.15 lies half-way between the base's points 52 (1.1) and 54 (1.2).
    found = at_equal_coupling(STUDY, points, 'ibot-d', COUPLING, ['oknn/top1'])
    assert found[11]['oknn/top1'] == pytest.approx(53)
    assert found[12]['oknn/top1'] == pytest.approx(55)
    never = [p for p in points if p.row != 'ibot-d' or p.share < 1]
    never.append(Point('ibot-d', 11, 100, 1.0, {COUPLING: 0.9, 'oknn/top1': 55.0}))
    assert at_equal_coupling(STUDY, never, 'ibot-d', COUPLING, ['oknn/top1']) == {}


def test_tables_show_every_row_and_the_published_numbers(points):
    from rich.console import Console

    cells = build_cells(STUDY, points)
    console = Console(width=160, record=True, file=open('/dev/null', 'w'))  # noqa: SIM115
    for table in [*rich_tables(cells), *published_tables(STUDY, cells)]:
        console.print(table)
    text = console.export_text()
    assert '59.0 ±1.4' in text
    assert '-2.0 ±1.0' in text
    assert 'ibot-d - base at equal full_angle_pooled' in text
    # Table 3: published 75.2 and 78.7 beside measured, and both steps.
    assert '75.2 | 59.0 ±1.4' in text
    assert '+3.50 | -2.0 ±1.0' in text


def test_the_miniature_gives_the_numbers_it_gave():
    """Measurements of runs of the engine before this one, and the tables that it made of them."""
    points = [Point(**one) for one in STORED['measurements']]
    found = {(c.family, c.kind, c.name, c.metric): c.value for c in build_cells(STUDY, points)}
    assert len(STORED['tables']) == len(found) > 100
    for *cell, mean, spread, seeds in STORED['tables']:
        value = found[tuple(cell)]
        assert value.seeds == seeds
        assert value.mean == pytest.approx(mean, rel=1e-12)
        assert value.spread == pytest.approx(np.nan if spread is None else spread, nan_ok=True)


def test_figure_is_written(points, tmp_path):
    from mmdssl.visualization.tradeoff import Trajectory, draw_tradeoff

    def ends(name):
        runs = [[p for p in points if p.row == name and p.seed == seed] for seed in (11, 12)]
        return np.array([[(p.values[COUPLING], p.values['oknn/top1']) for p in r] for r in runs])

    arms = [
        Trajectory('base', ends('ibot'), 'vermillion'),
        Trajectory('branch', ends('ibot-d'), 'blue'),
    ]
    arms.append(Trajectory('low', np.array([[(1.1, 53.0)]]), 'purple', 'v'))
    panel = {'ibot | CR inter': arms, 'soco | background invariance': arms}
    path = draw_tradeoff([panel, panel], tmp_path / 'x.png', title='title')
    assert path.stat().st_size > 10_000

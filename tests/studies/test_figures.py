"""Studies of figures: numbers without a network, curves, and what a paper does not print."""

from pathlib import Path

import pytest
from rich.console import Console

from mmdssl.evaluation.cutout_ratio import cutout_ratio_curve
from mmdssl.studies import picture
from mmdssl.studies.afterwards import missing_measures
from mmdssl.studies.launch import execute, is_done
from mmdssl.studies.recipe import make_config
from mmdssl.studies.results import Point, read_points
from mmdssl.studies.run import Plan, Run
from mmdssl.studies.statistics import compute
from mmdssl.studies.tables import build_cells, published_tables, rich_tables

FOLDER = 'mind_your_augmentation'


def plan_of(name: str, folder: Path, **options) -> Plan:
    options = {'seeds': (0, 1), 'scale': 'scenes', **options}
    return Plan(file=name if '/' in name else f'{FOLDER}/{name}', out=folder, **options)


def said(tables) -> str:
    console = Console(width=200, record=True, file=open('/dev/null', 'w'))  # noqa: SIM115
    for table in tables:
        console.print(table)
    return ' '.join(console.export_text().split())  # a caption is as wide as its table


def test_a_row_without_a_network_is_computed_once_and_measured_as_nothing_else(tmp_path):
    measured = ('position', 'transfer', 'cost')
    plan = plan_of('figure_11', tmp_path, iters=3, scale='paper', measured=measured)
    for run in plan.runs:
        execute(run)
        assert is_done(run)
        assert missing_measures(run) == []
    numbers = {p.row: p.values for p in read_points(plan) if p.seed == 1}
    labels = {'Cutout': 'Cutout, inside', 'RCC': 'RCC, inside, area (default)'}
    for row, label in labels.items():
        curve = cutout_ratio_curve(variants=[label], repeats=3, seed=1)
        wanted = {f'cutout@{one["regions"]}/percent': 100 * one['realised'] for one in curve}
        assert numbers[row] == pytest.approx(wanted)
    files = {run.folder / 'measurements.jsonl' for run in plan.runs}
    assert len(files) == 4
    before = {file: file.stat().st_mtime_ns for file in files}
    for run in plan.runs:
        execute(run)
    assert {file: file.stat().st_mtime_ns for file in files} == before
    more = plan_of('figure_11', tmp_path, iters=4, scale='paper')
    assert not any(is_done(run) for run in more.runs)  # another number of repeats is another run
    cells = build_cells(plan.study, read_points(plan))
    assert rich_tables(cells) == []  # none of its numbers is a network's
    text = said(published_tables(plan.study, cells))
    assert 'than 0.4, that of RCC stays at 0.4.' in text
    assert text.count('not stated |') == 16
    with pytest.raises(ValueError, match="no statistic 'cutout': choose from cutout_ratio"):
        compute({'type': 'cutout'}, repeats=1, seed=0)
    assert picture.draw_study(plan, tmp_path, read_points(plan))[0].stat().st_size > 10_000


def points_of(values: dict[str, dict[str, list[float]]]) -> list[Point]:
    """Ends of runs: by row and measure, a number for each seed."""
    common = {'cr_inter/last/full_angle_pooled': 1.0, 'bg_self/last/centred': 0.5}
    common |= {'oknn/top1': 30.0, 'oknn_d/top1': 20.0}
    return [
        Point(row, seed, 10, 1.0, {**common, **{key: own[seed] for key, own in measured.items()}})
        for row, measured in values.items()
        for seed in range(len(next(iter(measured.values()))))
    ]


@pytest.fixture
def drawn(monkeypatch) -> dict:
    """What would be drawn."""
    found: dict = {}

    def keep(series, path, **labels):
        found.update(series=series, name=path.name, **labels)
        return path

    monkeypatch.setattr(picture, 'draw_coupling_against', keep)
    monkeypatch.setattr(picture, 'draw_tradeoff', lambda rows, path, **labels: path)
    return found


def test_rows_stand_at_their_points_of_a_curve(tmp_path, drawn):
    plan = plan_of('figure_9', tmp_path)
    numbers = {'S-T/@1': [1.0, 1.2], 'S-T/Rand': [2.0, 2.0], 'T@16': [1.5]}
    points = points_of({row: {'cr_inter/last/mean': own} for row, own in numbers.items()})
    picture.draw_study(plan, tmp_path, points)
    assert drawn['xlabel'] == plan.study.axis
    assert drawn['series'] == {
        'DenseCL': {'n = 1': pytest.approx((1.1, 0.1)), 'any': (2.0, 0.0)},
        'iBOT': {'n = 16': (1.5, 0.0)},
    }
    text = said(published_tables(plan.study, build_cells(plan.study, points)))
    assert 'not stated | 1.10 ±0.14' in text
    assert 'not stated | not measured' in text  # S-T/@4
    assert 'The paper says: coupling rises as pairs get less exact.' in text


def test_rows_without_points_are_curves_over_what_is_missing_of_a(tmp_path, drawn):
    plan = plan_of('figure_6b', tmp_path)
    numbers = {'cr_inter/last@0.6/mean': [1.4], 'cr_inter/last@0/mean': [1.0]}
    numbers['cr_inter/last/mean'] = [1.2]
    points = points_of({'SoCo-D': numbers})
    picture.draw_study(plan, tmp_path, points)
    assert drawn['series'] == {'SoCo-D': {0.0: (1.0, 0.0), 0.6: (1.4, 0.0)}}
    text = said(published_tables(plan.study, build_cells(plan.study, points)))
    assert 'not stated | 1.40' in text


@pytest.mark.parametrize(('name', 'key'), [('3b', 'cr_inter/{}/mean'), ('4b', 'mcs/{}/mean')])
def test_layers_are_curves_beside_that_of_the_untrained_network(tmp_path, drawn, name, key):
    plan = plan_of(f'd3ssl/d3ssl_figure_{name}', tmp_path)
    first, last = key.format('layer1'), key.format('last')
    points = points_of({row: {first: [1.0, 1.2], last: [2.0, 2.0]} for row in ('SoCo', 'D3SSL')})
    start = {**points[0].values, first: 0.9, last: 0.8}
    points += [Point('D3SSL', seed, 0, 0.0, start) for seed in (0, 1)]
    picture.draw_study(plan, tmp_path, points)
    one = {'C2': pytest.approx((1.1, 0.1)), 'C5': (2.0, 0.0)}
    assert drawn['series'] == {
        'SoCo': one,
        'D3SSL': one,
        'untrained': {'C2': (0.9, 0.0), 'C5': (0.8, 0.0)},
    }
    assert list(drawn['series'])[-1] == 'untrained'
    assert drawn['name'] == {'3b': 'coupling_masked.png', '4b': 'position.png'}[name]
    assert drawn['xlabel'] == 'stage of the ResNet'


def test_more_and_more_is_masked_without_the_branch(tmp_path):
    plan = plan_of('figure_8', tmp_path)
    for row in plan.rows:
        host, ratio = plan.study.row(row).point
        config = make_config(Run(plan=plan, name=row, seed=0))
        step = 'BlockwiseMask' if host == 'iBOT' else 'SquareCutout'
        text = str(config.train_dataloader.dataset.pipeline)
        assert text.count(f"'type': '{step}', 'ratio': {ratio},") == 1
        assert not config.model.get('decoupling')

"""Every study that comes with the package runs from data to tables, two iterations a row.

The quick suite runs a row of two of those in ``DAILY``, others every day, and a failure shows
which; the whole studies are slow. A study joins ``DAILY`` when it has been seen to run whole.
"""

import csv
import datetime

import pytest

from mmdssl.cli.study import main
from mmdssl.core.shipped import shipped
from mmdssl.studies import load_study
from mmdssl.studies.run import Plan

STUDIES = sorted(shipped('studies').rglob('*.py'))
DAILY = (
    'd3ssl_table_5',
    'd3ssl_table_6',
    'd3ssl_table_7',
    'figure_8',
    'figure_9',
    'from_nothing',
    'table_10',
    'table_11',
    'table_6',
)


def smoke(file, folder, executor, *words):
    """Names and metrics that stand in the tables."""
    words = [str(file), '--scale', 'smoke', '--seeds', '0', '--executor', executor, *words]
    assert main([*words, '--out', str(folder)]) == 0
    with (folder / f'{file.stem}-smoke' / 'tables.csv').open() as table:
        return {(row['name'], row['metric']) for row in csv.DictReader(table)}


def rows_of(file, folder):
    return Plan(file=str(file), scale='smoke', out=folder, seeds=(0,)).rows


@pytest.mark.parametrize('number', [0, 1])
def test_a_row_of_the_day(tmp_path, number):
    day = datetime.date.today().toordinal()
    name = DAILY[(2 * day + number) % len(DAILY)]
    (file,) = (file for file in STUDIES if file.stem == name)
    rows = rows_of(file, tmp_path)
    row = rows[day // 3 % len(rows)]
    print(f'to see it again: mmdssl study {file} --scale smoke --seeds 0 --rows {row}')
    found = smoke(file, tmp_path, 'debug', '--rows', row, '--measures', 'cost')
    assert {(row, 'oknn/top1'), (row, 'cost/ms')} <= found


@pytest.mark.slow
@pytest.mark.parametrize('file', STUDIES, ids=lambda file: file.stem)
def test_whole(tmp_path, file):
    study = load_study(file)
    measures = {'position', 'transfer', 'cost', *study.measures}
    found = smoke(file, tmp_path, 'local', '--jobs', '2', '--measures', *sorted(measures))
    wanted = {'oknn/top1', 'cr_inter/last/mean', 'mcs/last/mean', 'cost/ms'}
    for row in rows_of(file, tmp_path):
        if study.row(row).statistic:
            assert any(name == row for name, _ in found)
            continue
        assert {(row, metric) for metric in wanted} <= found
        judged = study.row(row).settings.get('scenes')
        if judged and judged.judges:
            assert any(name == row and metric.startswith('transfer/') for name, metric in found)
    if study.published:
        with (tmp_path / f'{file.stem}-smoke' / 'published.csv').open() as table:
            rows = list(csv.DictReader(table))
        assert {row['name'] for row in rows} == {n for t in study.published for n in t.rows}
        assert {row['seeds'] for row in rows if row['metric'] in wanted} <= {'1'}

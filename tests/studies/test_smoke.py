"""Every study that comes with the package runs from data to tables, two iterations a row."""

import csv

import pytest

from mmdssl.cli.study import main
from mmdssl.core.shipped import shipped
from mmdssl.studies import load_study

STUDIES = sorted(shipped('studies').rglob('*.py'))


@pytest.mark.slow
@pytest.mark.parametrize('file', STUDIES, ids=lambda file: file.stem)
def test_smoke(tmp_path, file):
    words = [str(file), '--scale', 'smoke', '--seeds', '0', '--executor', 'debug']
    assert main([*words, '--out', str(tmp_path), '--measures', 'position', 'cost']) == 0
    study = load_study(file)
    with (tmp_path / f'{file.stem}-smoke' / 'published.csv').open() as table:
        rows = list(csv.DictReader(table))
    assert {row['name'] for row in rows} == {name for t in study.published for name in t.rows}
    assert {row['seeds'] for row in rows if row['metric'] == 'oknn/top1'} == {'1'}
    with (tmp_path / f'{file.stem}-smoke' / 'tables.csv').open() as table:
        metrics = {(row['name'], row['metric']) for row in csv.DictReader(table)}
    trained = study.choose([], 'scenes')
    assert {(name, 'mcs/last/mean') for name in trained} <= metrics
    assert {(name, 'cost/ms') for name in trained} <= metrics

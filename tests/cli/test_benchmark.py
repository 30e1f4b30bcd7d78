import csv

import pytest

from mmdssl.cli import benchmark as command
from mmdssl.cli import benchmarks
from tests.reference import ROOT

MODULE = """
def rows(repeat=5):
    return [
        dict(name='time', value=float(repeat), unit='us', target='<= 4', reference='other 9'),
        dict(name='plain', value=123456.7, unit='images/s'),
    ]
"""


@pytest.fixture
def benchmark(tmp_path, monkeypatch):
    folder = tmp_path / 'benchmarks'
    folder.mkdir()
    (folder / 'one.py').write_text(MODULE)
    (folder / 'two.py').write_text(MODULE.replace("name='plain', ", ''))
    monkeypatch.setattr(benchmarks, '__path__', [str(folder)])
    monkeypatch.setattr(command, 'results_folder', lambda: tmp_path / 'results')
    return command


def read(path):
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


def test_rows_are_written_with_targets_judged(benchmark, tmp_path, capsys):
    assert benchmark.main(['one', '--out', str(tmp_path / 'new' / 'out.csv')]) == 0
    first, second = read(tmp_path / 'new' / 'out.csv')
    assert first == dict(
        benchmark='one',
        name='time',
        value='5',
        unit='us',
        target='<= 4',
        reached='no',
        reference='other 9',
    )
    assert second['reached'] == ''
    assert 'target <= 4: no' in capsys.readouterr().out


def test_new_numbers_replace_old_ones_of_the_same_benchmark_only(benchmark, tmp_path):
    out = tmp_path / 'out.csv'
    benchmark.merge_csv(out, [dict.fromkeys(benchmark.COLUMNS, 'x') | dict(benchmark='zero')])
    benchmark.main(['one', '--out', str(out)])
    benchmark.main(['one', '--out', str(out), '--repeat', '3'])
    rows = read(out)
    assert [row['benchmark'] for row in rows] == ['one', 'one', 'zero']
    assert rows[0]['reached'] == 'yes'


def test_a_part_of_a_benchmark_leaves_its_other_numbers(benchmark, tmp_path, capsys):
    out = tmp_path / 'out.csv'
    old = dict.fromkeys(benchmark.COLUMNS, 'x')
    rows = [old | dict(benchmark='step', name=name) for name in ('A', 'B')]
    benchmark.merge_csv(out, rows)
    benchmark.merge_csv(out, [rows[0] | dict(value='new')], by_name=True)
    assert {row['name']: row['value'] for row in read(out)} == {'A': 'new', 'B': 'x'}
    assert benchmark.main(['one', '--only', 'time', '--out', str(out)]) == 1
    assert 'benchmark one has no parts to choose from' in capsys.readouterr().err


def test_a_failing_benchmark_hides_no_other_and_fails_the_command(benchmark, tmp_path, capsys):
    assert benchmark.main(['--out', str(tmp_path / 'out.csv')]) == 1
    assert {row['benchmark'] for row in read(tmp_path / 'out.csv')} == {'one'}
    captured = capsys.readouterr()
    assert 'failed: two' in captured.out
    assert "a row of benchmark two lacks ['name']" in captured.err


def test_file_is_named_by_hardware_and_torch_version(benchmark, tmp_path):
    benchmark.main(['one'])
    (path,) = (tmp_path / 'results').glob('*.csv')
    assert path.stem.startswith(benchmark.hardware_name())
    assert 'core' in benchmark.hardware_name()
    assert '_torch-' in path.stem


def test_unknown_names_and_targets_are_refused(benchmark):
    with pytest.raises(SystemExit):
        benchmark.main(['three'])
    with pytest.raises(ValueError, match='is not of the form'):
        benchmark.reached(1.0, 'about 5')
    assert benchmark.reached(5.0, '>= 5') == 'yes'
    assert benchmark.reached(4.9, '>= 5') == 'no'


def test_every_benchmark_of_the_package_has_rows():
    names = command.benchmark_names()
    assert {'colour', 'loader', 'step'} <= set(names)
    for name in names:
        assert 'def rows(' in (ROOT / f'mmdssl/cli/benchmarks/{name}.py').read_text(), name


def test_numbers_of_a_checkout_lie_with_those_of_other_machines():
    assert command.results_folder() == ROOT / 'tools/benchmarks/results'

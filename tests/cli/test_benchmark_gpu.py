"""The proof of a GPU, rehearsed on the CPU."""

import csv
import json
from pathlib import Path

import pytest
import torch

from mmdssl.cli import benchmark_gpu


@pytest.fixture
def tool():
    threads = torch.get_num_threads()
    yield benchmark_gpu
    torch.set_num_threads(threads)


def smoke(tool, folder, *more):
    out = folder / 'out.csv'
    code = tool.main(
        ['--device', 'cpu', '--smoke', '--out', str(out), '--work-dir', str(folder / 'work'), *more]
    )
    with out.open(newline='') as file:
        rows = list(csv.DictReader(file))
    by_stage = json.loads(out.with_suffix('.json').read_text())['rows']
    assert sorted(map(str, by_stage)) == sorted(map(str, rows))
    return code, rows


def test_the_path_runs_without_a_gpu(tool, tmp_path):
    """Ceilings, a pair of steps, colours, loader and a run with its curve; each into one table."""
    stages = ('ceilings', 'steps', 'colours', 'loading', 'runs')
    code, rows = smoke(
        tool, tmp_path, '--stages', *stages, '--only', 'DenseCL', '--configs', tool.RUNS[1]
    )
    assert code == 0
    assert {row['benchmark'] for row in rows} == {f'gpu {stage}' for stage in stages}
    named = {(row['name'], row['unit']): float(row['value']) for row in rows}
    speed = named['step DenseCL R50, batch 4', 'images/s']
    assert speed == pytest.approx(4000 / named['step DenseCL R50, batch 4', 'ms'], rel=0.01)
    # The branch adds a quarter of a view to the student's one; a view costs the student three
    # passes and the teacher one: 19 %, with the heads and the stem a little off.
    plain, branch = (
        named[f'step {name} R50, batch 4', 'GFLOP/image'] for name in ('DenseCL', 'DenseCL-D')
    )
    assert 1.1 < branch / plain < 1.2
    run = f'run {Path(tool.RUNS[1]).stem}'
    assert {unit for name, unit in named if name == f'{run}, iteration 2'} == {
        'oknn/top1',
        'oknn_d/top1',
        'oknn_clean_bank/top1',
    }


@pytest.mark.slow
def test_every_row_runs_without_a_gpu(tool, tmp_path):
    code, rows = smoke(tool, tmp_path)
    assert code == 0
    assert not [row for row in rows if row['unit'] == 'failed']
    names = {row['name'] for row in rows}
    for row in tool.steps.ROWS:
        assert f'step {row.name}, batch 4' in names


def test_a_host_that_fails_does_not_hide_the_others(tool, monkeypatch):
    build = tool.steps.build

    def broken(row, *args, **kwargs):
        if row.name == 'DenseCL R50':
            raise RuntimeError('no memory\nand more')
        return build(row, *args, **kwargs)

    monkeypatch.setattr(tool.steps, 'build', broken)
    rows = list(tool.steps.rows('cpu', smoke=True, peak=1.0, only=['DenseCL']))
    assert rows[0]['unit'] == 'failed'
    assert rows[0]['reference'] == 'RuntimeError: no memory'
    assert [row['unit'] for row in rows[1:3]] == ['images/s', 'ms']
    assert rows[1]['name'].startswith('step DenseCL-D')


def test_what_cannot_be_asked_is_refused(tool, capsys, tmp_path):
    for arguments, message in (
        (['--device', 'cpu'], '--smoke'),
        (['--device', 'cpu', '--smoke', '--data-root', str(tmp_path)], 'no folder unlabelled'),
    ):
        with pytest.raises(SystemExit):
            tool.main(arguments)
        assert message in capsys.readouterr().err

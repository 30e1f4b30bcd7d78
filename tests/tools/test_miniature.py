"""The study in miniature runs from data to tables, goes on where it stopped, refuses a mix."""

import json
import shutil

import pytest

from tools.miniature import main, make_plan, parse_arguments

SMALL = ['--iters', '5', '--train-images', '40', '--val-images', '12', '--bank-images', '10']
SMALL += ['--probes', '6', '--jobs', '2', '--seeds', '11']


def test_default_study_has_all_arms_and_fits_its_time():
    plan = make_plan(parse_arguments([]))
    assert len(plan.runs()) == 3 * 17
    minutes = sum(run.seconds for run in plan.runs()) / 60 / 2
    assert minutes < 80  # and the data; 90 in all on two cores
    families = {run.arm.family for run in plan.runs()}
    assert families == {'ibot', 'densecl', 'soco', 'maskalign', 'leopart'}


def test_shorter_schedule_shortens_its_warm_up():
    plan = make_plan(parse_arguments(['--iters', '25', '--arms', 'ibot', 'ibot-equal-compute']))
    base, longer = plan.runs()[:2]
    assert (base.iters, longer.iters) == (25, 31)
    assert base.training.warmup == 6
    assert base.points == (0, 5, 10, 18, 25)
    assert longer.points == (31,)


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--arms', 'byol'], "no arm 'byol'"),
        (['--data', '/nowhere', '--scale', 'gpu'], "no regime 'photos' at scale 'gpu'"),
        (['--data', '/nowhere'], 'layout of COCO'),
    ],
)
def test_wrong_input_is_one_sentence(tmp_path, capsys, arguments, words):
    assert main([*arguments, '--out', str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert 'Traceback' not in error


@pytest.mark.slow
def test_study_from_data_to_tables_and_on_after_an_interruption(tmp_path, capsys):
    arguments = [*SMALL, '--arms', 'ibot', 'ibot-d', 'soco-d', '--out', str(tmp_path)]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert 'paired differences' in printed
    study = json.loads((tmp_path / 'miniature.json').read_text())
    assert set(study['runs']) == {'ibot/seed-11', 'ibot-d/seed-11', 'soco-d/seed-11'}
    assert 'torch' in study['versions']
    for name in ('measurements.csv', 'tables.csv', 'tradeoff.png', 'tradeoff_disturbed.png'):
        assert (tmp_path / name).stat().st_size
    lines = (tmp_path / 'ibot' / 'seed-11' / 'measurements.jsonl').read_text().splitlines()
    measured = [json.loads(line) for line in lines]
    assert [line['iter'] for line in measured] == [0, 1, 2, 4, 5]
    # Paired: the net before the first step is the same, and measured alike.
    other = (tmp_path / 'ibot-d' / 'seed-11' / 'measurements.jsonl').read_text().splitlines()
    same = [{k: v for k, v in json.loads(x[0]).items() if k != 'seconds'} for x in (lines, other)]
    assert same[0] == same[1]

    # As a kill within the last iterations would leave it.
    folder = tmp_path / 'ibot' / 'seed-11'
    (folder / 'done.json').unlink()
    (folder / 'last_checkpoint').write_text(str(folder / 'iter_5.pth'))
    shutil.rmtree(tmp_path / 'ibot-d')
    stamp = (tmp_path / 'soco-d' / 'seed-11' / 'done.json').stat().st_mtime_ns
    assert main(arguments) == 0
    assert (tmp_path / 'soco-d' / 'seed-11' / 'done.json').stat().st_mtime_ns == stamp
    again = (tmp_path / 'ibot-d' / 'seed-11' / 'measurements.jsonl').read_text().splitlines()
    repeated = [
        {k: v for k, v in json.loads(line).items() if k != 'seconds'}
        for line in (other[-1], again[-1])
    ]
    assert repeated[0] == repeated[1]

    capsys.readouterr()
    assert main([*arguments, '--iters', '6']) == 2
    assert 'holds a run of other settings' in capsys.readouterr().err


@pytest.mark.slow
def test_arms_that_need_a_teacher_wait_for_its_run(tmp_path):
    arguments = [*SMALL, '--arms', 'maskalign-d', 'leopart', '--out', str(tmp_path)]
    assert main(arguments) == 0

    def measured(arm):
        lines = (tmp_path / arm / 'seed-11' / 'measurements.jsonl').read_text().splitlines()
        return [{k: v for k, v in json.loads(x).items() if 'sec' not in k} for x in lines]

    assert [line['iter'] for line in measured('maskalign-d')] == [0, 1, 2, 4, 5]
    # Leopart begins where iBOT, its teacher, ended.
    start, end = measured('leopart')[0], measured('ibot')[-1]
    assert (start.pop('iter'), end.pop('iter')) == (0, 5)
    assert start == end
    assert 'start' in (tmp_path / 'tables.csv').read_text()

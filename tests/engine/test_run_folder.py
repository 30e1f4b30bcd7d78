"""A work folder belongs to one run: no second one beside it, none over it, nothing left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

from mmdssl.engine.hooks.checkpoint import train_and_keep
from mmdssl.engine.run_folder import clear_folder, held_folder, traces
from tests.commands import run_command
from tests.conftest import ROOT
from tests.core.hostile import write_run
from tests.engine.toy import Recorder, assert_same_state, toy_config, toy_runner

KEEP_ONE = {'default_hooks.checkpoint.max_keep_ckpts': 1}


@pytest.fixture
def config(tmp_path):
    """A config file of the toy host, and the folder of its run."""
    settings = toy_config(tmp_path / 'run', epochs=2)
    settings.custom_imports = dict(imports=['tests.engine.toy'])
    settings.dump(tmp_path / 'toy.py')
    return tmp_path / 'toy.py', tmp_path / 'run'


def state(folder):
    """Everything in a folder and when it was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob('*')}


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        run_command('train', *arguments)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert 'Traceback' not in error
    return error


def processes(tmp_path, *options, ranks=1, launcher='none'):
    """Start the command in processes of its own."""
    start = ('--launcher', launcher)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    for rank in range(ranks):
        variables = dict(RANK=rank, WORLD_SIZE=ranks, LOCAL_RANK=rank, MASTER_ADDR='127.0.0.1')
        variables |= dict(MASTER_PORT=port) if ranks > 1 else {}
        yield subprocess.Popen(
            [sys.executable, ROOT / 'tools/train.py', tmp_path / 'toy.py', *options, *start],
            env={
                **os.environ,
                **({name: str(value) for name, value in variables.items()} if ranks > 1 else {}),
                'PYTHONPATH': str(ROOT),
                'OMP_NUM_THREADS': '1',
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


# ---- a new run over an old one


@pytest.mark.parametrize(
    'trace', ['epoch_2.pth', 'iter_7.pth', 'interrupted.pth', 'health.jsonl', 'object_knn.jsonl']
)
def test_new_run_over_another_is_refused_and_touches_nothing(config, capsys, trace):
    file, folder = config
    folder.mkdir()
    (folder / trace).write_text('{"iter": 0}\n{"iter": 50, "spread": 1}\n')
    before = state(folder)
    error = refused(capsys, file)
    assert f'holds a run ({trace})' in error
    assert '--resume' in error
    assert '--overwrite' in error
    assert state(folder) == before


def test_what_is_no_run_does_not_stand_in_the_way(config):
    file, folder = config
    (folder / 'dry_run').mkdir(parents=True)
    (folder / 'metrics.json').write_text('{\n "iter": 5\n}\n')
    (folder / 'object_knn.jsonl').write_text('{"iter": 0, "oknn/top1": 3.0}\n')
    (folder / 'initial_backbone.pth').touch()
    run_command('train', file)
    assert (folder / 'epoch_2.pth').exists()


def test_overwriting_replaces_the_run_and_nothing_else(config):
    file, folder = config
    folder.mkdir()
    (folder / 'notes.txt').write_text('mine')
    for number in (5, 9):
        write_run(folder / f'epoch_{number}.pth', number)
    (folder / 'health.jsonl').write_text('{"iter": 50}\n')
    (folder / 'last_checkpoint').write_text(str(folder / 'epoch_9.pth'))
    run_command('train', file, '--overwrite')
    assert sorted(path.name for path in folder.glob('*.pth')) == ['epoch_1.pth', 'epoch_2.pth']
    assert (folder / 'last_checkpoint').read_text() == str(folder / 'epoch_2.pth')
    assert (folder / 'notes.txt').read_text() == 'mine'
    assert not (folder / 'health.jsonl').exists()


def test_overwriting_with_a_mistake_in_the_config_loses_nothing(config, capsys):
    file, folder = config
    folder.mkdir()
    write_run(folder / 'epoch_9.pth', 9)
    refused(capsys, file, '--overwrite', '--cfg-options', 'model.widht=3')
    assert (folder / 'epoch_9.pth').exists()


def test_overwriting_keeps_the_file_to_start_from(config):
    _, folder = config
    folder.mkdir()
    settings = toy_config(folder)
    settings.load_from = str(write_run(folder / 'epoch_9.pth', 9))
    write_run(folder / 'epoch_8.pth', 8)
    clear_folder(settings)
    assert [path.name for path in traces(folder)] == ['epoch_9.pth']


def test_resuming_and_overwriting_exclude_each_other(config, capsys):
    assert 'give one' in refused(capsys, config[0], '--overwrite', '--resume')


def test_resuming_from_elsewhere_over_another_run_is_refused(tmp_path, config, capsys):
    file, folder = config
    folder.mkdir()
    write_run(folder / 'epoch_9.pth', 9)
    other = write_run(tmp_path / 'epoch_3.pth', 3)
    assert 'holds a run' in refused(capsys, file, '--resume', other)


def test_rehearsal_is_no_new_run(config, monkeypatch):
    monkeypatch.setattr('mmdssl.engine.dry_run.dry_run', lambda config: 'rehearsed')
    file, folder = config
    folder.mkdir()
    write_run(folder / 'epoch_9.pth', 9)
    run_command('train', file, '--dry-run')
    assert (folder / 'epoch_9.pth').exists()


# ---- resuming through the command and through the hook


@pytest.mark.parametrize('note', ['', None, '/gone/epoch_7.pth'])
@pytest.mark.parametrize('damage', [0, 100])
def test_resumed_run_goes_on_from_the_newest_whole_file(config, capsys, note, damage):
    file, folder = config
    run_command('train', file)
    straight = torch.load(folder / 'epoch_2.pth', weights_only=True)['state_dict']
    content = (folder / 'epoch_2.pth').read_bytes()
    (folder / 'epoch_2.pth').write_bytes(content[: len(content) - damage])
    (folder / 'last_checkpoint').unlink()
    if note is not None:
        (folder / 'last_checkpoint').write_text(note)
    run_command('train', file, '--resume')
    error = capsys.readouterr().err
    assert error.count('passed over') == (note is not None) + bool(damage)
    assert f'resuming from {folder}/epoch_{1 if damage else 2}.pth' in error
    resumed = torch.load(folder / 'epoch_2.pth', weights_only=True)['state_dict']
    assert all(torch.equal(resumed[name], value) for name, value in straight.items())


def test_config_that_says_resume_is_resumed(config, capsys):
    file, folder = config
    run_command('train', file)
    run_command('train', file, '--cfg-options', 'resume=True', 'train_cfg.max_epochs=3')
    assert (folder / 'epoch_3.pth').exists()
    assert f'resuming from {folder}/epoch_2.pth' in capsys.readouterr().err


def resuming_runner(folder, **settings):
    settings = toy_config(folder, **settings)
    settings.resume = True
    return Runner.from_cfg(settings)


def test_hook_alone_finds_the_newest_whole_file(tmp_path, capsys):
    """In a user's own script, where mmengine would read the note."""
    toy_runner(tmp_path, epochs=2).train()
    (tmp_path / 'epoch_2.pth').write_bytes(b'')
    runner, seen = resuming_runner(tmp_path, epochs=3), Recorder()
    runner.register_hook(seen)
    runner.train()
    assert len(seen.seen) == 6
    assert 'passed over' in capsys.readouterr().err
    fresh = resuming_runner(tmp_path / 'fresh', epochs=1)
    fresh.train()
    assert fresh.iter == 3


# ---- two at once


def test_second_run_in_the_folder_is_refused_and_touches_nothing(tmp_path, config, capsys):
    file, folder = config
    code = f"""
import time
from mmdssl.engine.run_folder import held_folder
with held_folder({str(folder)!r}):
    print('held', flush=True)
    time.sleep(60)
"""
    holder = subprocess.Popen(
        [sys.executable, '-c', code],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == 'held\n'
        before = state(folder)
        error = refused(capsys, file)
        assert f'another run is writing into {folder} (process {holder.pid} on ' in error
        assert 'another run is writing' in refused(capsys, file, '--overwrite')
        assert state(folder) == before
        with pytest.raises(ValueError, match='another run is writing'):
            train_and_keep(toy_runner(folder, epochs=1))
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    run_command('train', file)  # the lock of the killed one does not count
    assert (folder / 'epoch_2.pth').exists()
    assert not list(folder.glob('.*'))


def test_folder_is_free_after_a_run_and_after_a_failure(tmp_path):
    def fail(runner):
        raise RuntimeError('out of memory')

    toy_runner(tmp_path, epochs=1).train()
    with pytest.raises(RuntimeError, match='out of memory'):
        train_and_keep(toy_runner(tmp_path, hooks=(Recorder(at=1, action=fail),)))
    code = f'from mmdssl.engine.run_folder import held_folder as h\nwith h({str(tmp_path)!r}): pass'
    subprocess.run(
        [sys.executable, '-c', code], env={**os.environ, 'PYTHONPATH': str(ROOT)}, check=True
    )


def test_folder_is_made_with_those_above_it(tmp_path):
    with held_folder(tmp_path / 'a/b/c'):
        assert (tmp_path / 'a/b/c').is_dir()
    with held_folder(tmp_path / 'a/b/c'):  # nor does one that is there stand in the way
        pass


def test_folder_that_is_a_file_is_one_sentence(tmp_path):
    (tmp_path / 'run').touch()
    with pytest.raises(ValueError, match='cannot be written'), held_folder(tmp_path / 'run'):
        pass


@pytest.mark.slow
def test_two_processes_are_refused_together(tmp_path, config):
    with held_folder(tmp_path / 'run'):
        runs = list(processes(tmp_path, ranks=2, launcher='pytorch'))
        outputs = [run.communicate(timeout=120)[0] for run in runs]
    assert [run.returncode for run in runs] == [2, 2]
    assert all('another run is writing' in said for said in outputs)
    runs = list(processes(tmp_path, ranks=2, launcher='pytorch'))
    outputs = [run.communicate(timeout=120)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert not list((tmp_path / 'run').glob('.*'))


# ---- kills


class Killed(BaseException):
    """What nobody catches, in place of SIGKILL."""


def train_and_kill(monkeypatch, folder):
    """The run ends when epoch_2.pth would be deleted, after the note names epoch_3.pth."""
    unlink = Path.unlink

    def watched(self, missing_ok=False):
        if self.name == 'epoch_2.pth':
            raise Killed
        unlink(self, missing_ok=missing_ok)

    runner = toy_runner(folder, **KEEP_ONE)
    with monkeypatch.context() as patch:
        patch.setattr(Path, 'unlink', watched)
        with pytest.raises(Killed):
            runner.train()


def test_kill_between_note_and_deletion_leaves_no_orphan(tmp_path, monkeypatch):
    train_and_kill(monkeypatch, tmp_path)
    assert len(list(tmp_path.glob('*.pth'))) == 2
    runner = toy_runner(tmp_path, resume=tmp_path / 'epoch_3.pth', **KEEP_ONE)
    runner.train()
    assert [path.name for path in tmp_path.glob('*.pth')] == ['epoch_4.pth']
    straight = toy_runner(tmp_path / 'b')
    straight.train()
    assert_same_state(runner, straight)


def test_what_was_to_go_in_another_folder_stays(tmp_path, monkeypatch):
    train_and_kill(monkeypatch, tmp_path / 'a')
    (tmp_path / 'b').mkdir()
    (tmp_path / 'b/epoch_2.pth').write_bytes(b'of somebody else')
    keep_all = {'default_hooks.checkpoint.max_keep_ckpts': -1}
    toy_runner(tmp_path / 'b', resume=tmp_path / 'a/epoch_3.pth', **keep_all).train()
    assert (tmp_path / 'b/epoch_2.pth').read_bytes() == b'of somebody else'
    assert (tmp_path / 'a/epoch_2.pth').exists()


def test_leftovers_of_every_file_of_a_run_are_cleaned_up(tmp_path):
    names = ('.last_checkpoint.4711.tmp', '.epoch_1.pth.4711.tmp', '.object_knn.json.12.tmp')
    for name in (*names, '.of_mine.tmp', '.report.html.4711.tmp'):
        (tmp_path / name).write_bytes(b'half of it')
    toy_runner(tmp_path, epochs=1).train()
    left = sorted(path.name for path in tmp_path.glob('.*'))
    assert left == ['.of_mine.tmp', '.report.html.4711.tmp']


@pytest.mark.slow
def test_kills_at_any_time_lose_no_more_than_the_last_interval(tmp_path, config):
    """SIGKILL again and again: each start goes on, and the end is that of one straight run."""
    file, folder = config
    text = file.read_text().replace('max_epochs=2', 'max_epochs=40')
    file.write_text(text.replace('interval=1,', 'interval=1, max_keep_ckpts=1,', 1))
    straight = next(processes(tmp_path, '--work-dir', str(tmp_path / 'straight')))
    assert straight.wait(timeout=200) == 0
    kills = 0
    while not (folder / 'epoch_40.pth').exists() and kills < 7:
        run = next(processes(tmp_path, '--resume'))
        begin = time.monotonic()
        while not list(folder.glob('epoch_*.pth')) and time.monotonic() - begin < 90:
            time.sleep(0.05)
        time.sleep(3 + 0.37 * kills)
        run.kill()
        run.wait()
        kills += 1
    run = next(processes(tmp_path, '--resume'))
    assert run.wait(timeout=200) == 0
    ours, theirs = (
        torch.load(where / 'epoch_40.pth', weights_only=True)['state_dict']
        for where in (folder, tmp_path / 'straight')
    )
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())
    assert [path.name for path in folder.glob('*.pth')] == ['epoch_40.pth']
    assert not list(folder.glob('.*'))

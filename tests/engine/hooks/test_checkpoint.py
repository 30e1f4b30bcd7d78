"""Checkpoint files of a run: plain, without paths, replaced safely, resumed only if they fit."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import CheckpointLoader

from mmdssl.core import checkpointing
from mmdssl.core.checkpoint_format import without_paths
from mmdssl.core.checkpointing import EVALUATED_KEY
from mmdssl.core.reading import load_checkpoint_file
from mmdssl.engine.hooks.checkpoint import SafeCheckpointHook, train_and_keep
from mmdssl.engine.interruption import TrainingStopped
from tests.engine.toy import Recorder, assert_same_state, toy_runner


@pytest.fixture(autouse=True)
def _mmengine_loaders():
    before = CheckpointLoader._schemes.copy()
    yield
    CheckpointLoader._schemes = before


class Odd(Hook):
    """Puts into the message hub what no checkpoint can hold."""

    def before_train(self, runner):
        runner.message_hub.update_info('odd', object())
        runner.message_hub.update_info('data_dir', str(Path(runner.work_dir) / 'images'))


def files(folder):
    return sorted(path.name for path in Path(folder).glob('*.pth'))


def test_file_is_plain_and_names_no_path_of_the_machine(tmp_path, capsys):
    runner = toy_runner(tmp_path, epochs=2, hooks=(Odd(),))
    runner.train()
    path = tmp_path / 'epoch_2.pth'
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint['meta']['dataset_meta']['classes'] == ('a', 'b')
    assert checkpoint['meta']['iterations_per_epoch'] == 3
    assert checkpoint['meta'][EVALUATED_KEY] == 'student'
    assert "type='ToyHost'" in checkpoint['meta']['cfg']
    info = checkpoint['message_hub']['runtime_info']
    assert (info['last_ckpt'], info['data_dir']) == ('epoch_2.pth', 'images')
    with zipfile.ZipFile(path) as archive:
        content = b''.join(archive.read(name) for name in archive.namelist())
    assert str(tmp_path).encode() not in content
    # What cannot be stored is named, once, and not stored.
    assert 'odd' not in info
    assert capsys.readouterr().out.count("['runtime_info']['odd']") == 1


def test_paths_in_a_config_are_cut_to_their_last_part():
    text = """a='/home/me/data/coco/', b=["~/x.json", 'C:\\\\y\\\\z.pth'], c='data/coco', d='https://h/w'"""
    assert without_paths(text) == (
        """a='coco', b=["x.json", 'z.pth'], c='data/coco', d='https://h/w'"""
    )


def test_older_files_go_only_after_the_new_one_is_safe(tmp_path, monkeypatch):
    rename, seen = os.replace, []

    def watched(source, target):
        if Path(target).suffix == '.pth':
            seen.append((files(tmp_path), Path(target).name))
        rename(source, target)

    monkeypatch.setattr(checkpointing.os, 'replace', watched)
    toy_runner(tmp_path, **{'default_hooks.checkpoint.max_keep_ckpts': 1}).train()
    assert seen == [
        ([], 'epoch_1.pth'),
        (['epoch_1.pth'], 'epoch_2.pth'),
        (['epoch_2.pth'], 'epoch_3.pth'),
        (['epoch_3.pth'], 'epoch_4.pth'),
    ]
    assert files(tmp_path) == ['epoch_4.pth']


@pytest.mark.parametrize('stage', ['write', 'rename'])
def test_failed_write_leaves_the_previous_checkpoint(tmp_path, monkeypatch, stage):
    rename, write = os.replace, torch.save

    def broken_rename(source, target):
        if Path(target).name == 'epoch_2.pth':
            raise OSError('disk full')
        rename(source, target)

    def broken_write(data, file):
        if data['meta']['iter'] >= 6:
            file.write(b'half of it')
            raise OSError('disk full')
        write(data, file)

    if stage == 'rename':
        monkeypatch.setattr(checkpointing.os, 'replace', broken_rename)
    else:
        monkeypatch.setattr(torch, 'save', broken_write)
    runner = toy_runner(tmp_path, **{'default_hooks.checkpoint.max_keep_ckpts': 1})
    with pytest.raises(OSError, match='disk full'):
        train_and_keep(runner)
    monkeypatch.undo()
    assert 'epoch_1.pth' in files(tmp_path)
    assert list(tmp_path.glob('.*.tmp')) == []
    newest = (tmp_path / 'last_checkpoint').read_text()
    resumed = toy_runner(tmp_path, resume=newest)
    resumed.train()
    assert resumed.iter == 12


def test_number_of_kept_checkpoints_holds_across_a_resume(tmp_path):
    keep = {'default_hooks.checkpoint.max_keep_ckpts': 2}
    toy_runner(tmp_path, epochs=3, **keep).train()
    toy_runner(tmp_path, epochs=5, resume=tmp_path / 'epoch_3.pth', **keep).train()
    assert files(tmp_path) == ['epoch_4.pth', 'epoch_5.pth']


def test_leftovers_of_a_killed_process_are_cleaned_up(tmp_path):
    (tmp_path / '.epoch_1.pth.4711.tmp').write_bytes(b'half of it')
    toy_runner(tmp_path, epochs=1).train()
    assert list(tmp_path.glob('.*.tmp')) == []


class MakesFolder:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def changed(path, change):
    """The checkpoint at ``path`` with something changed, in a new file."""
    checkpoint = torch.load(path, weights_only=True)
    change(checkpoint)
    torch.save(checkpoint, path.with_name('changed.pth'))
    return path.with_name('changed.pth')


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A finished run of two epochs and its last checkpoint."""
    folder = tmp_path_factory.mktemp('finished')
    runner = toy_runner(folder, epochs=2)
    runner.train()
    return runner, folder / 'epoch_2.pth'


def test_resume_refuses_an_unsafe_file_without_running_it(tmp_path, finished):
    trace = tmp_path / 'trace'
    path = changed(finished[1], lambda c: c['meta'].update(evil=MakesFolder(trace)))
    with pytest.raises(ValueError, match='holds more than plain data'):
        toy_runner(tmp_path, resume=path).train()
    assert not trace.exists()


def test_resume_does_not_run_text_in_the_file(tmp_path, finished):
    trace = tmp_path / 'trace'
    text = f'import os\nos.mkdir({str(trace)!r})\n'
    path = changed(finished[1], lambda c: c['meta'].update(config=text))
    runner = toy_runner(tmp_path, epochs=3, resume=path)
    runner.train()
    assert runner.iter == 9
    assert not trace.exists()


def test_resume_refuses_another_model(tmp_path, finished):
    def rename(checkpoint):
        weights = checkpoint['state_dict']
        weights['backbone.9.weight'] = weights.pop('backbone.0.weight')

    with pytest.raises(ValueError, match=r'lacks 1 .*backbone\.0\.weight.* 1 too many'):
        toy_runner(tmp_path, resume=changed(finished[1], rename)).train()


def test_resume_refuses_mere_weights(tmp_path, finished):
    path = changed(finished[1], lambda c: [c.pop(key) for key in ('optimizer', 'message_hub')])
    with pytest.raises(ValueError, match='load_from'):
        toy_runner(tmp_path, resume=path).train()


def test_weights_can_start_another_run(tmp_path, finished):
    run, path = finished
    recorder = Recorder(at=0, action=lambda r: assert_weights(r.model, run.model))
    runner = toy_runner(tmp_path, epochs=1, hooks=(recorder,), load_from=str(path))
    runner.train()
    assert (runner.iter, len(recorder.seen)) == (3, 3)


def assert_weights(got, want):
    for name, value in want.state_dict().items():
        assert torch.equal(got.state_dict()[name], value), name


def test_no_warning_about_the_same_data_set(tmp_path, finished, capsys):
    toy_runner(tmp_path, epochs=3, resume=finished[1]).train()
    assert 'metainfo' not in capsys.readouterr().out


def test_saving_does_not_change_the_run(tmp_path):
    often = toy_runner(tmp_path / 'a')
    often.train()
    once = toy_runner(tmp_path / 'b', **{'default_hooks.checkpoint.interval': -1})
    once.train()
    assert files(tmp_path / 'b') == ['epoch_4.pth']
    assert_same_state(once, often)


def test_loaded_history_goes_on(finished):
    run, path = finished
    saved = load_checkpoint_file(path)['message_hub']['log_scalars']['train/loss']
    values, counts = run.message_hub.get_scalar('train/loss').data
    assert saved['values'].tolist() == values.tolist()
    assert saved['counts'].tolist() == counts.tolist()


def warnings_about_data(tmp_path, capsys, then, now):
    """Lines of the log about the data of a run that was started with others."""

    def keep(metainfo):
        hook = Hook()
        hook.before_run = lambda r: r.train_dataloader.dataset.metainfo.update(metainfo)
        return (hook,)

    toy_runner(tmp_path, epochs=1, hooks=keep(then)).train()
    path = tmp_path / 'epoch_1.pth'
    capsys.readouterr()
    toy_runner(tmp_path, epochs=2, hooks=keep(now), resume=path).train()
    return [line for line in capsys.readouterr().out.splitlines() if 'metainfo' in line]


@pytest.mark.parametrize(
    ('then', 'now'),
    [
        ('/data/photos', '/data/photos'),
        ('/data/photos', '/data/photos/'),
        ('data/photos', '/mnt/data/photos'),
        (['a', 'b'], ('a', 'b')),
        (np.arange(3), np.arange(3)),
        (dict(palette=[(1, 2)], root='/a/b'), dict(palette=[[1, 2]], root='/c/b')),
    ],
)
def test_same_data_in_another_guise_are_no_alarm(tmp_path, capsys, then, now):
    assert warnings_about_data(tmp_path, capsys, dict(root=then), dict(root=now)) == []


@pytest.mark.parametrize(
    ('then', 'now', 'words'),
    [
        ('/data/photos', '/data/scenes', "root was 'photos' and is 'scenes'"),
        (['a', 'b'], ['b', 'a'], "root was ['a', 'b'] and is ['b', 'a']"),
        (np.arange(3), np.arange(4), 'root was [0, 1, 2] and is [0, 1, 2, 3]'),
    ],
)
def test_other_data_are_named_once(tmp_path, capsys, then, now, words):
    (line,) = warnings_about_data(tmp_path, capsys, dict(root=then), dict(root=now))
    assert words in line


@pytest.mark.parametrize(('own', 'of_all'), [(0, 15), (15, 15), (2, 15), (0, 0)])
def test_a_signal_to_one_process_stops_all(monkeypatch, own, of_all):
    """Each says what it has received, and acts on what any has."""
    hook, left, told = SafeCheckpointHook(interval=1), [], []
    hook._distributed, hook._signals.received = True, own or None

    def all_reduce(wish: torch.Tensor, op: str) -> None:
        told.append((int(wish), op))
        wish.fill_(of_all)

    monkeypatch.setattr('mmdssl.engine.hooks.checkpoint.all_reduce', all_reduce)
    monkeypatch.setattr(hook, '_leave_checkpoint', lambda _, **how: left.append(how))
    if of_all:
        with pytest.raises(TrainingStopped) as stopped:
            hook._stop_if_asked(None)
        assert stopped.value.code == 128 + of_all
        assert left == [dict(reason='SIGTERM', exact=True, gather=True)]
    else:
        hook._stop_if_asked(None)
        assert left == []
    assert told == [(own, 'max')]

"""The newest whole checkpoint is found, whatever a kill, a full disk or a mover has left."""

import os
import re
import shutil

import numpy as np
import pytest
import torch

from mmdssl.core.newest import find_checkpoint, newest_checkpoint
from tests.core.hostile import FOREIGN, Payload, foreign, write_run
from tests.core.test_reading import damaged


def make_run(folder, *iterations, note=None, stopped=None):
    """Checkpoints in the order of writing, as a run leaves them, times a minute apart."""
    folder.mkdir(exist_ok=True)
    start = 1_700_000_000
    files = [(f'iter_{number}.pth', number) for number in iterations]
    files += [('interrupted.pth', stopped)] if stopped else []
    for index, (name, number) in enumerate(files):
        write_run(folder / name, number)
        os.utime(folder / name, (start + 60 * index,) * 2)
    newest = folder / (note or files[-1][0])
    (folder / 'last_checkpoint').write_text(str(newest))
    os.utime(folder / 'last_checkpoint', (start + 60 * len(files),) * 2)
    return folder


def replace(path, content):
    """Other content under the same times, as a failing disk would leave it."""
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_bytes(content)
    os.utime(path, ns=times)


def found(folder, capsys):
    path = find_checkpoint(folder, 'auto')
    lines = capsys.readouterr().err.splitlines()
    return path.name, [line for line in lines if 'passed over' in line]


def test_whole_run_gives_what_the_note_names(tmp_path, capsys):
    folder = make_run(tmp_path / 'run', 3, 6, 9)
    assert found(folder, capsys) == ('iter_9.pth', [])


# What may befall the newest file: it must be passed over with one sentence.
_FILES = {
    'cut': lambda content: content[: len(content) // 2],
    'cut at its end': lambda content: content[:-1],
    'one byte changed': lambda content: damaged(content, 'flip', 0.5),
    **{name: lambda content, name=name: foreign(name)[0] for name in FOREIGN},
}


@pytest.mark.parametrize('fault', _FILES)
def test_broken_newest_file_is_passed_over_with_one_warning(tmp_path, capsys, fault):
    folder = make_run(tmp_path / 'run', 3, 6, 9)
    newest = folder / 'iter_9.pth'
    replace(newest, _FILES[fault](newest.read_bytes()))
    name, warnings = found(folder, capsys)
    assert name == 'iter_6.pth'
    assert len(warnings) == 1
    assert str(newest) in warnings[0]
    assert 'weights_only' not in warnings[0]


@pytest.mark.parametrize(
    'content', [b'', b'\n', bytes(range(256)), b'\0' * 40, b'/gone/iter_12.pth', b'x' * 5000]
)
def test_broken_note_is_passed_over_with_one_warning(tmp_path, capsys, content):
    folder = make_run(tmp_path / 'run', 3, 6, 9)
    replace(folder / 'last_checkpoint', content)
    name, warnings = found(folder, capsys)
    assert name == 'iter_9.pth'
    assert len(warnings) == 1
    assert 'last_checkpoint names' in warnings[0]


def test_missing_note_is_not_missed(tmp_path, capsys):
    folder = make_run(tmp_path / 'run', 8, 9, 10)
    (folder / 'last_checkpoint').unlink()
    assert found(folder, capsys) == ('iter_10.pth', [])


def test_kill_between_checkpoint_and_note_gives_the_checkpoint(tmp_path, capsys):
    folder = make_run(tmp_path / 'run', 3, 6)
    write_run(folder / 'iter_9.pth', 9)
    assert found(folder, capsys) == ('iter_9.pth', [])


def test_kill_while_writing_leaves_the_one_before(tmp_path, capsys):
    folder = make_run(tmp_path / 'run', 3, 6)
    (folder / '.iter_9.pth.4711.tmp').write_bytes(b'half of it')
    assert found(folder, capsys) == ('iter_6.pth', [])


def test_stopped_runs_checkpoint_counts_by_its_iteration(tmp_path, capsys):
    folder = make_run(tmp_path / 'run', 3, 6, stopped=8)
    assert found(folder, capsys)[0] == 'interrupted.pth'
    (folder / 'last_checkpoint').unlink()
    assert found(folder, capsys)[0] == 'interrupted.pth'
    write_run(folder / 'iter_9.pth', 9)  # resumed and gone on, the old one not deleted yet
    assert found(folder, capsys)[0] == 'iter_9.pth'


def test_run_taken_up_again_further_back_is_not_mixed_with_the_abandoned_one(tmp_path, capsys):
    folder = make_run(tmp_path / 'run', 3, 6, 9, note='interrupted.pth', stopped=4)
    assert found(folder, capsys) == ('interrupted.pth', [])


def test_moved_folder_is_read_where_it_is(tmp_path, capsys):
    first = make_run(tmp_path / 'run', 3)
    shutil.copytree(first, tmp_path / 'copy')
    path = find_checkpoint(tmp_path / 'copy', 'auto')
    assert path == tmp_path / 'copy/iter_3.pth'


def test_checkpoints_elsewhere_are_found_by_the_note(tmp_path):
    folder = make_run(tmp_path / 'run', 3)
    write_run(tmp_path / 'iter_7.pth', 7)
    (folder / 'iter_3.pth').unlink()
    (folder / 'last_checkpoint').write_text(str(tmp_path / 'iter_7.pth'))
    assert find_checkpoint(folder, 'auto') == tmp_path / 'iter_7.pth'


def test_names_of_a_template_are_known(tmp_path):
    make_run(tmp_path, 3)
    write_run(tmp_path / 'model-00012.pth', 12)
    (tmp_path / 'last_checkpoint').unlink()
    assert newest_checkpoint(tmp_path)[0].name == 'iter_3.pth'
    assert newest_checkpoint(tmp_path, 'model-{:05d}.pth')[0].name == 'model-00012.pth'


def test_weights_and_hostile_files_are_passed_over(tmp_path, capsys):
    folder = make_run(tmp_path / 'run', 3, 6, 9)
    torch.save(dict(state_dict={}), folder / 'iter_9.pth')
    write_run(folder / 'iter_6.pth', 6, evil=Payload(tmp_path / 'trace'))
    torch.save(dict(state_dict={}), folder / 'exported.pth')
    name, warnings = found(folder, capsys)
    assert name == 'iter_3.pth'
    assert [re.search(r'iter_\d', line).group() for line in warnings] == ['iter_9', 'iter_6']
    assert not (tmp_path / 'trace').exists()


def test_no_good_file_is_an_error_that_names_all(tmp_path):
    folder = make_run(tmp_path / 'run', 3, 6)
    for name in ('iter_3.pth', 'iter_6.pth'):
        (folder / name).write_bytes(b'')
    with pytest.raises(ValueError, match=r'(?s)iter_6\.pth is no checkpoint.*iter_3\.pth is no'):
        find_checkpoint(folder, 'auto')


def test_empty_and_missing_folders_mean_a_new_run(tmp_path, capsys):
    assert find_checkpoint(tmp_path, 'auto') is None
    assert find_checkpoint(tmp_path / 'nothing', 'auto') is None
    assert capsys.readouterr().err.count('a new run starts') == 2


def test_only_the_first_process_speaks(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv('RANK', '1')
    folder = make_run(tmp_path / 'run', 3)
    (folder / 'last_checkpoint').write_text('')
    assert find_checkpoint(folder, 'auto').name == 'iter_3.pth'
    assert capsys.readouterr().err == ''


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['cut', 'flip'])
def test_damage_anywhere_never_costs_more_than_the_damaged_file(tmp_path, kind):
    for place in np.random.default_rng(1).random(150):
        folder = make_run(tmp_path / 'run', 3, 6, 9)
        newest = folder / 'iter_9.pth'
        replace(newest, damaged(newest.read_bytes(), kind, place))
        path, passed = newest_checkpoint(folder)
        assert (path.name, len(passed)) in (('iter_6.pth', 1), ('iter_9.pth', 0))
        assert kind == 'flip' or passed

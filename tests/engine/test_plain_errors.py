"""Faults that are not the code's, injected: one sentence in the end, whenever they come."""

import errno
import os
import subprocess
import sys

import pytest
from mmengine.config import Config

from mmdssl.core.checkpointing import atomic_text
from mmdssl.datasets.bad_images import TooManyBadImagesError
from mmdssl.datasets.image_header import ImageDecodeError
from mmdssl.engine.launch import build_runner, readable_errors
from mmdssl.engine.plain_errors import plain_sentence
from mmdssl.engine.writing import check_writable
from tests.conftest import ROOT
from tests.engine.toy import toy_config

NUMBERS = (
    'ENOSPC', 'EDQUOT', 'EFBIG', 'EROFS', 'EACCES', 'EPERM', 'ENOTDIR', 'EEXIST', 'EISDIR',
    'ELOOP', 'ENAMETOOLONG', 'EIO', 'ESTALE', 'EMFILE', 'ENFILE', 'ENOMEM',
)  # fmt: skip
WORKER = (
    'Caught TooManyBadImagesError in DataLoader worker process 0.\n'
    'Original Traceback (most recent call last):\n  File "x.py", line 3\n'
    'mmdssl.datasets.bad_images.TooManyBadImagesError: 11 of 20 images (55%) cannot be read\n'
)


def os_error(name):
    return OSError(getattr(errno, name), os.strerror(getattr(errno, name)), '/data/x')


def chained():
    """What a full disk gives: the error of the end within the error of the beginning."""
    try:
        try:
            raise os_error('ENOSPC')
        except OSError as first:
            raise RuntimeError('cannot save') from first
    except RuntimeError:
        try:
            raise ValueError('nor that')
        except ValueError as last:
            return last


ERRORS = {
    **{name: (os_error(name), '/data/x: ') for name in NUMBERS},
    'chain': (chained(), '/data/x: No space left'),
    'worker': (TooManyBadImagesError(WORKER), '11 of 20 images'),
    'image': (ImageDecodeError('/data/x', 'truncated'), 'cannot read image /data/x: truncated'),
    'torch': (
        RuntimeError('[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0'),
        'a checkpoint cannot be written',
    ),
    'torch stream': (RuntimeError('PytorchStreamWriter failed writing file data/0'), 'full disk'),
    'name': (ImageDecodeError(os.fsdecode(b'/caf\xe9.jpg'), 'empty'), r'/caf\xe9.jpg'),
}


@pytest.mark.parametrize('fault', ERRORS)
@pytest.mark.parametrize('started', [False, True])
def test_one_sentence_at_any_time(fault, started, capsys):
    error, message = ERRORS[fault]
    with pytest.raises(SystemExit) as left, readable_errors(lambda: not started):
        raise error
    assert left.value.code == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1  # how to see the traceback included
    assert said[0].startswith('error: ')
    assert message in said[0]
    assert 'Traceback' not in said[0]


@pytest.mark.parametrize('error', [RuntimeError('bug'), ValueError('bug'), OSError('no number')])
def test_faults_of_the_code_keep_their_traceback(error):
    assert plain_sentence(error) is None
    with pytest.raises(type(error), match=str(error)), readable_errors(lambda: False):
        raise error


def test_ctrl_c_before_training_is_one_word(monkeypatch, capsys):
    with pytest.raises(SystemExit) as left, readable_errors():
        raise KeyboardInterrupt
    assert left.value.code == 130
    assert capsys.readouterr().err == 'interrupted\n'
    monkeypatch.setenv('MMDSSL_TRACEBACK', '1')
    with pytest.raises(KeyboardInterrupt), readable_errors():
        raise KeyboardInterrupt


def test_ctrl_c_while_a_config_is_laid_out_is_no_fault_of_the_config(monkeypatch, capsys):
    """mmengine catches everything there, and puts the whole config into its message."""

    def press(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr('yapf.yapflib.yapf_api.FormatCode', press)
    config = Config(dict(long=list(range(99))))
    with pytest.raises(SystemExit) as left, readable_errors():
        _ = config.pretty_text
    assert left.value.code == 130
    assert capsys.readouterr().err == 'interrupted\n'


@pytest.mark.parametrize('place', ['file', 'below a file', 'self'])
def test_a_work_folder_that_cannot_be_made_is_named(place, tmp_path, capsys):
    target = tmp_path / 'run'
    if place == 'self':
        target.symlink_to('run')
    else:
        target.write_text('')
    config = toy_config(target / 'in' if place == 'below a file' else target)
    with pytest.raises(SystemExit), readable_errors():
        build_runner(config)
    text = capsys.readouterr().err
    assert f'error: {target}' in text
    assert 'Traceback' not in text


def test_a_full_disk_is_noticed_before_the_start(tmp_path, monkeypatch):
    def full(*_):
        raise os_error('ENOSPC')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='No space left') as caught:
        check_writable(tmp_path)
    assert caught.value.filename == str(tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(OSError, match=r'No space left.*/data/x'):
        atomic_text('x', tmp_path / 'note')
    assert not list(tmp_path.iterdir())


RUN = """
import sys
from mmengine.config import Config
from mmdssl.engine.launch import build_runner, prepare_config, readable_errors, train
from tests.engine.toy import toy_config
config = toy_config(sys.argv[1])
with readable_errors():
    runner = build_runner(prepare_config(config))
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
train(runner)
"""


@pytest.mark.parametrize('limit', [0, 3000])
def test_a_disk_that_fills_up_ends_the_run_in_one_sentence(tmp_path, limit):
    """A limit of the size of files stands for the disk: neither log nor checkpoint can grow."""
    done = subprocess.run(
        [sys.executable, '-c', RUN, str(tmp_path / 'run'), str(limit)],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 2, done.stderr
    assert 'Traceback (most' not in done.stderr
    assert 'Logging error' not in done.stderr
    assert done.stderr.count('error: ') == 1
    # At 0 not even the lock of the work folder can be written, and nothing begins.
    sentence = 'cannot be written (File too large)' if limit == 0 else 'files may not grow as large'
    assert sentence in done.stderr


def test_an_error_of_the_system_without_a_number_is_told_before_the_start(capsys):
    with pytest.raises(SystemExit), readable_errors():
        raise NotADirectoryError('photos.zip is a file: data_root must be a folder of images')
    assert 'error: photos.zip is a file' in capsys.readouterr().err


@pytest.mark.parametrize(
    'said',
    [
        '[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:538] Read error [10.0.0.2]:51345: '
        'Connection reset by peer',
        'NCCL error in: ProcessGroupNCCL.cpp:77, remote process exited or a network error',
    ],
)
def test_a_process_that_is_gone_is_named_as_such(said):
    sentence = plain_sentence(RuntimeError(said))
    assert sentence is not None
    assert 'another process of this run is gone' in sentence
    assert said in sentence
    assert '--resume' in sentence
    assert plain_sentence(RuntimeError('sizes of tensors must match')) is None

"""Checkpoint files: safe to read, whole at every moment."""

import argparse
import os
from collections import OrderedDict, deque
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.runner import CheckpointLoader
from torch import nn

from mmdssl.engine import checkpointing
from mmdssl.engine.checkpointing import (
    atomic_file,
    atomic_save,
    install_safe_loading,
    load_checkpoint_file,
    to_plain,
)


class Payload:
    """Unpickling it creates a file: what a hostile checkpoint would do, made visible."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def mmengine_loaders():
    """Undo :func:`install_safe_loading` afterwards: it changes the whole process."""
    before = CheckpointLoader._schemes.copy()
    yield
    CheckpointLoader._schemes = before


def test_unsafe_pickle_is_refused_and_not_run(tmp_path):
    path, trace = tmp_path / 'bad.pth', tmp_path / 'trace'
    torch.save(dict(state_dict={}, meta=Payload(trace)), path)
    with pytest.raises(ValueError, match=r'bad\.pth holds more than plain data \(.*mkdir\)'):
        load_checkpoint_file(path)
    assert not trace.exists()


def test_mmengine_loading_refuses_unsafe_pickles_once_installed(tmp_path, mmengine_loaders):
    path, trace = tmp_path / 'bad.pth', tmp_path / 'trace'
    torch.save(dict(state_dict={}, meta=Payload(trace)), path)
    install_safe_loading()
    with pytest.raises(ValueError, match='not loaded'):
        CheckpointLoader.load_checkpoint(str(path), 'cpu')
    assert not trace.exists()


def test_url_goes_through_the_safe_loader(tmp_path, monkeypatch, mmengine_loaders):
    source = tmp_path / 'source.pth'
    torch.save(dict(state_dict=dict(a=torch.ones(2))), source)

    def fetch(url, target, progress):
        Path(target).write_bytes(source.read_bytes())

    monkeypatch.setattr(torch.hub, 'download_url_to_file', fetch)
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    install_safe_loading()
    loaded = CheckpointLoader.load_checkpoint('https://example.org/net.pth?x=1', 'cpu')
    assert torch.equal(loaded['state_dict']['a'], torch.ones(2))
    assert [file.name for file in (tmp_path / 'hub/checkpoints').iterdir()] == ['net.pth']


def test_allowed_class_and_numpy_numbers_are_read(tmp_path):
    path = tmp_path / 'official.pth'
    torch.save(dict(args=argparse.Namespace(lr=1), best=np.float64(0.5), a=np.arange(3)), path)
    with pytest.raises(ValueError, match='Namespace'):
        load_checkpoint_file(path)
    loaded = load_checkpoint_file(path, allow=(argparse.Namespace,))
    assert loaded['args'].lr == 1
    assert loaded['best'] == 0.5
    assert loaded['a'].tolist() == [0, 1, 2]


def test_missing_and_cut_off_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no checkpoint at .*nothing\.pth'):
        load_checkpoint_file(tmp_path / 'nothing.pth')
    path = tmp_path / 'half.pth'
    torch.save(dict(a=torch.zeros(1000)), path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r'half\.pth is not a readable checkpoint'):
        load_checkpoint_file(path)


@pytest.mark.parametrize('stage', ['torch.save', 'os.replace', 'os.fsync'])
def test_failure_at_any_stage_leaves_the_old_file(tmp_path, monkeypatch, stage):
    path = tmp_path / 'a.pth'
    atomic_save(dict(value=1), path)

    def write_half(data, target):
        Path(target).write_bytes(b'half of it')
        raise OSError('disk full')

    def fail(*args, **kwargs):
        raise OSError('disk full')

    module = checkpointing.torch if stage == 'torch.save' else checkpointing.os
    monkeypatch.setattr(module, stage.split('.')[1], write_half if stage == 'torch.save' else fail)
    with pytest.raises(OSError, match='disk full'):
        atomic_save(dict(value=2), path)
    monkeypatch.undo()
    assert load_checkpoint_file(path) == dict(value=1)
    assert [file.name for file in tmp_path.iterdir()] == ['a.pth']


def test_new_file_appears_only_when_whole(tmp_path):
    path = tmp_path / 'new/a.pth'
    with atomic_file(path) as temporary:
        temporary.write_bytes(b'12')
        assert not path.exists()
    assert path.read_bytes() == b'12'


def test_plain_data_loads_with_weights_only(tmp_path):
    big = torch.arange(1000.0)
    data = OrderedDict(
        view=big[:2],
        parameter=nn.Parameter(torch.ones(1)),
        array=np.ones((2, 3), np.float32),
        scalar=np.int64(3),
        names=np.array(['a', 'b']),
        path=Path('x/y'),
        queue=deque([1, 2]),
        group={3, 1},
        pair=(1, None),
        nested=dict(flag=True),
    )
    path = tmp_path / 'a.pth'
    torch.save(to_plain(data), path)
    loaded = torch.load(path, weights_only=True)
    assert loaded['view'].tolist() == [0, 1]
    assert loaded['view'].untyped_storage().nbytes() == 8
    assert type(loaded['parameter']) is torch.Tensor
    assert loaded['array'].dtype == torch.float32
    rest = {key: loaded[key] for key in list(data)[3:]}
    assert rest == dict(
        scalar=3,
        names=['a', 'b'],
        path='x/y',
        queue=[1, 2],
        group=[1, 3],
        pair=(1, None),
        nested=dict(flag=True),
    )


def test_state_dict_keeps_its_versions(tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(to_plain(nn.BatchNorm1d(2).state_dict()), path)
    assert torch.load(path, weights_only=True)._metadata['']['version'] == 2


def test_what_cannot_be_plain_is_named():
    data = dict(good=[1], bad=[0, object()])
    with pytest.raises(TypeError, match=r"checkpoint\['bad'\]\[1\] is a object"):
        to_plain(data)
    dropped: list[str] = []
    assert to_plain(data, dropped=dropped) == dict(good=[1], bad=[0])
    assert dropped == ["checkpoint['bad'][1]"]

"""Checkpoint files: plain data, whole at every moment."""

from collections import OrderedDict, deque
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mmdssl.core import checkpointing
from mmdssl.core.checkpointing import atomic_file, atomic_save, to_plain
from mmdssl.core.reading import load_checkpoint_file


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
        words=set('resumable'),  # whose order differs from process to process
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
        words=sorted(set('resumable')),
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

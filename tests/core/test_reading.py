"""Reading of checkpoints: nothing runs, damage is seen, what is no checkpoint is named."""

import argparse
import pickle
import re

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmdssl.core.file_kind import zip_damage
from mmdssl.core.reading import load_checkpoint_file
from tests.core.hostile import FOREIGN, Payload, foreign, write_run


def refusal_of(path, **kwargs):
    """The sentence; it never advises what would run code."""
    with pytest.raises(ValueError, match=path.name) as caught:
        load_checkpoint_file(path, **kwargs)
    message = str(caught.value)
    assert 'weights_only' not in message
    assert '\n' not in message
    return message


@pytest.mark.parametrize('legacy', [False, True])
def test_unsafe_pickle_is_refused_and_not_run(tmp_path, legacy):
    path, trace = tmp_path / 'bad.pth', tmp_path / 'trace'
    content = dict(state_dict={}, meta=Payload(trace))
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    assert 'holds more than plain data (posix.mkdir)' in refusal_of(path)
    assert not trace.exists()


@pytest.mark.parametrize('name', FOREIGN)
def test_what_is_no_checkpoint_is_named(tmp_path, name):
    path = tmp_path / f'{name}.pth'
    content, message = foreign(name)
    path.write_bytes(content)
    said = refusal_of(path)
    assert 'is no checkpoint: it is' in said
    assert re.search(message, said)


def test_allowed_class_and_numpy_numbers_are_read(tmp_path):
    path = tmp_path / 'official.pth'
    torch.save(dict(args=argparse.Namespace(lr=1), best=np.float64(0.5), a=np.arange(3)), path)
    assert 'Namespace' in refusal_of(path)
    loaded = load_checkpoint_file(path, allow=(argparse.Namespace,))
    assert loaded['args'].lr == 1
    assert loaded['best'] == 0.5
    assert loaded['a'].tolist() == [0, 1, 2]


def test_missing_files_folders_and_dead_links_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no checkpoint at .*nothing\.pth'):
        load_checkpoint_file(tmp_path / 'nothing.pth')
    with pytest.raises(FileNotFoundError, match='which is a folder'):
        load_checkpoint_file(tmp_path)
    (tmp_path / 'a.pth').symlink_to('.git/annex/objects/x')
    with pytest.raises(FileNotFoundError, match=r'a link to \.git/annex'):
        load_checkpoint_file(tmp_path / 'a.pth')


def test_content_decides_and_not_the_name(tmp_path):
    from safetensors.torch import save_file

    save_file(dict(a=torch.ones(2)), tmp_path / 'x.pth')
    torch.save(dict(a=torch.ones(2)), tmp_path / 'y.safetensors')
    assert torch.equal(load_checkpoint_file(tmp_path / 'x.pth')['state_dict']['a'], torch.ones(2))
    assert torch.equal(load_checkpoint_file(tmp_path / 'y.safetensors')['a'], torch.ones(2))


def damaged(content, kind, place):
    """The file cut off at, or with one byte changed at, a share of its length."""
    index = min(int(place * len(content)), len(content) - 1)
    if kind == 'cut':
        return content[:index]
    changed = bytearray(content)
    changed[index] ^= 0x10
    return bytes(changed)


def attempt(path):
    """The refusal of a file, and its content if it was read."""
    said, content = '', None
    try:
        content = load_checkpoint_file(path)
    except ValueError as error:
        said = str(error)
    assert 'weights_only' not in said
    assert '\n' not in said
    return said, content


def assert_damage_is_seen(tmp_path, kind, place):
    """Refused in one sentence, or read as it was: bytes between the entries mean nothing."""
    path = write_run(tmp_path / 'epoch_3.pth', 3, tail=torch.arange(2000))
    whole = load_checkpoint_file(path)
    path.write_bytes(damaged(path.read_bytes(), kind, place))
    said, got = attempt(path)
    if said:
        return True
    assert kind == 'flip'
    assert torch.equal(got['tail'], whole['tail'])
    weights = ('state_dict', 'backbone.weight')
    assert torch.equal(got[weights[0]][weights[1]], whole[weights[0]][weights[1]])
    assert got['meta'] == whole['meta']
    return False


@pytest.mark.parametrize('kind', ['cut', 'flip'])
@pytest.mark.parametrize('place', [0.0, 0.02, 0.3, 0.5, 0.8, 0.97, 0.9999])
def test_damage_is_seen(tmp_path, kind, place):
    assert_damage_is_seen(tmp_path, kind, place)


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['cut', 'flip'])
def test_damage_anywhere_is_seen(tmp_path, kind):
    places = np.random.default_rng(0).random(400)
    seen = sum(assert_damage_is_seen(tmp_path, kind, place) for place in places)
    assert seen >= (400 if kind == 'cut' else 300)


def test_torch_alone_would_read_a_changed_weight(tmp_path):
    """Otherwise the check sums were compared for nothing."""
    path = tmp_path / 'a.pth'
    torch.save(dict(a=torch.zeros(1000)), path)
    content = bytearray(path.read_bytes())
    content[content.index(bytes(2000)) + 1000] = 7
    path.write_bytes(content)
    assert torch.load(path, weights_only=True)['a'].count_nonzero() == 1
    assert 'does not have its check sum' in refusal_of(path)
    assert zip_damage(path).endswith('does not have its check sum')


@pytest.mark.parametrize('place', np.linspace(0.01, 0.99, 9))
@pytest.mark.parametrize('kind', ['cut', 'flip'])
def test_damaged_files_of_the_older_format_are_one_sentence(tmp_path, kind, place):
    path = tmp_path / 'old.pth'
    torch.save(dict(a=torch.zeros(300)), path, _use_new_zipfile_serialization=False)
    path.write_bytes(damaged(path.read_bytes(), kind, place))
    said, _ = attempt(path)
    assert said or kind == 'flip'  # this format has no check sums


def test_unreadable_file_is_one_sentence(tmp_path, monkeypatch):
    path = write_run(tmp_path / 'a.pth', 1)

    def refuse(self, *args, **kwargs):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(type(path), 'open', refuse)
    assert 'cannot be read (Permission denied)' in refusal_of(path)


def test_histories_of_mmengine_are_read_and_written_again_as_its_own(tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(dict(loss=HistoryBuffer([1.0, 3.0], [1, 1])), path)
    loaded = load_checkpoint_file(path)['loss']
    assert type(loaded) is HistoryBuffer
    assert loaded.statistics('mean') == 2
    torch.save(dict(loss=loaded), path)
    assert load_checkpoint_file(path)['loss'].max() == 3


def test_histories_are_no_way_to_other_functions(tmp_path):
    class Reach:
        def __reduce__(self):
            return getattr, (HistoryBuffer, '__init__')

    torch.save(dict(a=HistoryBuffer([1.0], [1]), b=Reach()), tmp_path / 'a.pth')
    assert 'builtins.getattr' in refusal_of(tmp_path / 'a.pth')

    class Other:
        def __reduce__(self):
            return getattr, (dict, 'fromkeys')

    torch.save(dict(b=Other()), tmp_path / 'b.pth')
    assert 'holds more than plain data' in refusal_of(tmp_path / 'b.pth')


def test_a_history_takes_no_functions_from_a_file(tmp_path, monkeypatch):
    buffer = HistoryBuffer([1.0], [1])
    state = dict(buffer.__getstate__(), statistics_methods=dict(mean=np.ndarray))
    monkeypatch.setattr(HistoryBuffer, '__getstate__', lambda self: state)
    torch.save(dict(a=buffer), tmp_path / 'a.pth')
    monkeypatch.undo()
    assert load_checkpoint_file(tmp_path / 'a.pth')['a'].statistics('mean') == 1


def test_plain_pickles_of_torch_classes_stay_refused(tmp_path):
    path = tmp_path / 'module.pth'
    torch.save(torch.nn.Linear(2, 2), path)
    assert 'holds more than plain data (torch.nn.modules.linear.Linear)' in refusal_of(path)
    path.write_bytes(pickle.dumps(dict(a=np.ones(3)), protocol=2))
    assert 'a Python pickle' in refusal_of(path)

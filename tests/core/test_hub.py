"""``hf://``: read like a file wherever a checkpoint is named, from a folder or from the hub."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.runner.checkpoint import CheckpointLoader

import mmdssl
from mmdssl.core.hub import hub_file, is_there, local_file, upload
from mmdssl.core.reading import load_checkpoint_file
from mmdssl.engine.card.networks import open_network
from mmdssl.engine.pretraining.start_weights import look_at_start
from mmdssl.models.utils.frozen_teacher import FrozenTeacher
from tests.conversion.nets import checkpoint, resnet, shaken


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A folder in place of the hub with one repository."""
    folder = tmp_path / 'mirror'
    (folder / 'me' / 'net').mkdir(parents=True)
    file = folder / 'me' / 'net' / 'net.pth'
    checkpoint(file, shaken(resnet(18), 0), shaken(resnet(18), 1))
    kept = torch.load(file, weights_only=True)['state_dict']
    torch.save(dict(state_dict=kept), file)  # its network is read off the tensors
    monkeypatch.setenv('MMDSSL_HUB_FOLDER', str(folder))
    return folder


@pytest.mark.parametrize('place', ['a.pth', 'hf/a', '/hf:/a', 'hf:folder', Path('x')])
def test_paths_are_paths(place):
    assert hub_file(place) is None
    assert local_file(place) == Path(place)


@pytest.mark.parametrize(
    ('place', 'wanted'),
    [
        ('hf://me/net', ('me/net', None, None)),
        (Path('hf://me/net/sub/a.pth'), ('me/net', None, 'sub/a.pth')),
        ('hf://me/net@v1.0/a.pth', ('me/net', 'v1.0', 'a.pth')),
    ],
)
def test_addresses_name_repository_revision_and_file(place, wanted):
    assert hub_file(place) == wanted
    assert is_there(place)


@pytest.mark.parametrize('place', ['hf://', 'hf://net', 'hf://me/net/../../x', 'hf:///a/b'])
def test_addresses_that_are_none(place):
    with pytest.raises(ValueError, match='is no address of the hub'):
        local_file(place)


def test_it_is_read_wherever_a_checkpoint_is_named(mirror):
    file = mirror / 'me' / 'net' / 'net.pth'
    wanted = torch.load(file, weights_only=True)['state_dict']
    key = 'backbone.conv1.weight'
    for place in ('hf://me/net', Path('hf://me/net'), 'hf://me/net/net.pth'):
        assert torch.equal(load_checkpoint_file(place)['state_dict'][key], wanted[key])
    read = CheckpointLoader.load_checkpoint('hf://me/net')  # load_from, init_cfg
    assert torch.equal(read['state_dict'][key], wanted[key])
    loaded = mmdssl.load_backbone('hf://me/net', source='student', device='cpu')
    assert torch.equal(loaded.backbone.conv1.weight, wanted[key])
    assert open_network('hf://me/net', device='cpu').name == 'net'
    assert look_at_start('hf://me/net').file == file
    teacher = SimpleNamespace(init=None, checkpoint='hf://me/net')
    FrozenTeacher.check_checkpoint(teacher)


def test_files_that_a_repository_lacks_or_has_twice(mirror):
    with pytest.raises(FileNotFoundError, match='has no such folder'):
        local_file('hf://me/other')
    with pytest.raises(FileNotFoundError, match=r'hf://me/net has no file a\.pth'):
        local_file('hf://me/net/a.pth')
    folder = mirror / 'me' / 'net'
    (folder / 'other.pth').write_bytes(b'')
    with pytest.raises(FileNotFoundError, match=r'2 files of weights \(net.pth, other.pth\)'):
        local_file('hf://me/net')
    (folder / 'model.safetensors').write_bytes(b'')
    assert local_file('hf://me/net').name == 'model.safetensors'


class Hub:
    """What is used of huggingface_hub, with the names of its arguments."""

    def __init__(self, folder):
        self.folder, self.calls = folder, []

    def HfApi(self):  # noqa: N802 - its name there
        return self

    def list_repo_files(self, repo_id, *, revision=None, repo_type=None, token=None):
        self.calls.append(('list', repo_id, revision))
        if not (self.folder / repo_id).is_dir():
            raise OSError('404 Client Error.\n\nRepository Not Found\nlong advice\nmore')
        return [one.name for one in (self.folder / repo_id).iterdir()]

    def hf_hub_download(self, repo_id, filename, *, revision=None, cache_dir=None):
        self.calls.append(('download', repo_id, filename, revision))
        return str(self.folder / repo_id / filename)

    def create_repo(self, repo_id, *, token=None, private=None, exist_ok=False):
        self.calls.append(('create', repo_id, private, exist_ok))

    def upload_folder(self, *, repo_id, folder_path, commit_message=None):
        self.calls.append(('upload', repo_id, sorted(p.name for p in Path(folder_path).iterdir())))
        return SimpleNamespace(commit_url=f'https://hub/{repo_id}/commit/1')


def test_the_hub_is_asked_in_its_own_words(mirror, monkeypatch):
    monkeypatch.delenv('MMDSSL_HUB_FOLDER')
    hub = Hub(mirror)
    monkeypatch.setitem(sys.modules, 'huggingface_hub', hub)
    assert local_file('hf://me/net@v2') == mirror / 'me' / 'net' / 'net.pth'
    assert hub.calls == [('list', 'me/net', 'v2'), ('download', 'me/net', 'net.pth', 'v2')]
    hub.calls.clear()
    assert local_file('hf://me/net/net.pth').is_file()
    assert hub.calls == [('download', 'me/net', 'net.pth', None)]
    with pytest.raises(OSError, match=r'hub answers: 404 Client Error\. Repository Not Found long'):
        local_file('hf://me/gone')
    hub.calls.clear()
    found = upload(mirror / 'me' / 'net', 'me/new', private=True, message='m')
    assert found == 'https://hub/me/new/commit/1'
    assert hub.calls == [('create', 'me/new', True, True), ('upload', 'me/new', ['net.pth'])]
    with pytest.raises(ValueError, match='give ORG/NAME'):
        upload(mirror, 'new', message='m')


def test_the_package_is_asked_for_in_a_sentence(monkeypatch):
    monkeypatch.delenv('MMDSSL_HUB_FOLDER', raising=False)
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(ModuleNotFoundError, match='pip install huggingface_hub, or name a folder'):
        local_file('hf://me/net')

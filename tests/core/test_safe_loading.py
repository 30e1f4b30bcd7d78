"""Checkpoints that hold code are refused by whatever name mmengine loads them, in any project."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_loading

from mmdssl.core import downloads
from mmdssl.core.safe_loading import install_safe_loading
from tests.conftest import ROOT
from tests.core.hostile import Payload

URL = 'https://example.org/models/net.pth'
#: Names by which mmengine finds a file, those of its own schemes and one of a user's.
NAMES = {
    'path': '{file}',
    'https': URL,
    'torchvision': 'torchvision://net',
    'modelzoo': 'modelzoo://net',
    'open-mmlab': 'open-mmlab://net',
    'openmmlab': 'openmmlab://net',
    'open-mmlab, a local file': 'open-mmlab://local',
    'mmcls': 'mmcls://net',
    's3': 's3://bucket/net.pth',
    'petrel': 'cluster:petrel://bucket/net.pth',
    'pavi': 'pavi://net',
    'own': 'own://net',
    'own, a buffer': 'buffer://net',
}


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A function that makes every name of :data:`NAMES` mean a hostile file; gives its trace."""
    file, trace = tmp_path / 'bad.pth', tmp_path / 'trace'
    torch.save(dict(state_dict={}, meta=Payload(trace)), file)

    class Backend:
        def get(self, name):
            return file.read_bytes()

    class Pavi:
        class modelcloud:  # noqa: N801
            name = 'net.pth'

            @classmethod
            def get(cls, name):
                return cls

            @staticmethod
            def download(target):
                Path(target).write_bytes(file.read_bytes())

    urls = dict(net=URL, local=str(file))
    monkeypatch.setattr(mmengine_loading, 'get_torchvision_models', lambda: urls)
    monkeypatch.setattr(mmengine_loading, 'get_external_models', lambda: urls)
    monkeypatch.setattr(mmengine_loading, 'get_deprecated_model_names', dict)
    monkeypatch.setattr(mmengine_loading, 'get_mmcls_models', lambda: urls)
    monkeypatch.setattr(mmengine_loading, 'get_file_backend', lambda *a, **k: Backend())
    monkeypatch.setitem(sys.modules, 'pavi', Pavi)
    monkeypatch.setattr(CheckpointLoader, '_schemes', CheckpointLoader._schemes.copy())

    @CheckpointLoader.register_scheme('own://')
    def load_from_own(filename, map_location):
        return torch.load(file, map_location=map_location, weights_only=False)

    @CheckpointLoader.register_scheme('buffer://')
    def load_from_buffer(filename, map_location):
        with file.open('rb') as opened:
            return torch.load(opened, map_location=map_location, weights_only=False)

    def fetch(url, target, progress):
        Path(target).write_bytes(file.read_bytes())

    monkeypatch.setattr(downloads.torch.hub, 'download_url_to_file', fetch)
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'hub'))
    monkeypatch.setenv('MMENGINE_HOME', str(tmp_path / 'mmengine'))
    return file, trace


@pytest.mark.parametrize('name', NAMES)
def test_no_scheme_runs_what_a_file_holds(served, name):
    file, trace = served
    with pytest.raises(ValueError, match=r'holds more than plain data \(posix\.mkdir\)') as caught:
        CheckpointLoader.load_checkpoint(NAMES[name].format(file=file), 'cpu')
    assert not trace.exists()
    assert 'weights_only' not in str(caught.value)


def test_plain_files_are_read_by_every_scheme(served):
    file, _ = served
    # mmcls:// gives what lies under backbone, without that word
    weights = {'a': torch.ones(2), 'backbone.a': torch.ones(2)}
    torch.save(dict(state_dict=weights), file)
    for name in NAMES.values():
        loaded = CheckpointLoader.load_checkpoint(name.format(file=file), 'cpu')
        assert torch.equal(loaded['state_dict']['a'], torch.ones(2)), name


def test_weights_arrive_on_the_device_asked_for(served):
    file, _ = served
    torch.save(dict(state_dict=dict(a=torch.ones(2))), file)
    for name in (NAMES['https'], str(file)):
        loaded = CheckpointLoader.load_checkpoint(name.format(file=file), 'meta')
        assert loaded['state_dict']['a'].device.type == 'meta', name


def test_a_users_own_settings_of_torch_come_back(served, monkeypatch):
    """The environment says not to load plain data only: no way around, and left as it was."""
    import os

    _, trace = served
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    with pytest.raises(ValueError, match='plain data'):
        CheckpointLoader.load_checkpoint('own://net', 'cpu')
    assert not trace.exists()
    assert os.environ['TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'] == '1'
    assert 'TORCH_FORCE_WEIGHTS_ONLY_LOAD' not in os.environ


def test_installing_twice_changes_nothing():
    install_safe_loading()
    first = CheckpointLoader.load_checkpoint.__func__
    install_safe_loading()
    assert CheckpointLoader.load_checkpoint.__func__ is first


_PROJECT = """
import sys
import torch
{imports}
from mmengine.runner import load_checkpoint
assert 'mmdssl.engine' not in sys.modules
try:
    load_checkpoint(torch.nn.Linear(1, 1), sys.argv[1])
except ValueError as error:
    assert 'holds more than plain data' in str(error), error
    print('refused')
"""
_ORDERS = {
    'custom_imports': "from mmengine import Config\nConfig.fromfile('config.py')",
    'mmengine first': 'import mmengine.runner\nimport mmdssl',
    'mmdssl first': 'import mmdssl\nassert "mmengine" not in sys.modules',
    'a module of it': 'import mmdssl.core.wording',
}


@pytest.mark.parametrize('order', _ORDERS)
def test_importing_mmdssl_protects_a_project_that_uses_no_hook_of_it(tmp_path, order):
    trace = tmp_path / 'trace'
    torch.save(dict(state_dict={}, meta=Payload(trace)), tmp_path / 'bad.pth')
    (tmp_path / 'config.py').write_text("custom_imports = dict(imports=['mmdssl'])\n")
    run = subprocess.run(
        [sys.executable, '-c', _PROJECT.format(imports=_ORDERS[order]), 'bad.pth'],
        cwd=tmp_path,
        env=dict(PYTHONPATH=str(ROOT), PATH='/usr/bin:/bin', HOME=str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.split()[-1:] == ['refused'], run.stderr
    assert not trace.exists()


def test_runs_of_mmengines_own_hook_are_resumed(tmp_path):
    """Its files hold histories as objects; they are numbers all the same."""
    from tests.engine.toy import toy_runner

    hook = dict(type='CheckpointHook', interval=1)
    toy_runner(tmp_path / 'a', epochs=1, **{'default_hooks.checkpoint': hook}).train()
    resumed = toy_runner(
        tmp_path / 'a',
        epochs=2,
        resume=tmp_path / 'a/epoch_1.pth',
        **{'default_hooks.checkpoint': hook},
    )
    resumed.train()
    assert resumed.iter == 6
    assert len(resumed.message_hub.get_scalar('train/loss').data[0]) == 6

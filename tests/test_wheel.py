"""An installed wheel works without the checkout: configs and tools are inside, as ``.mim``."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope='module')
def installed(tmp_path_factory) -> Path:
    """A folder that holds the content of the wheel, as site-packages would."""
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'  # a copy: a build writes into the folder that it builds
    kept = shutil.ignore_patterns('.*', 'work_dirs', 'tests', '__pycache__', '*.egg-info', 'build')
    shutil.copytree(ROOT, source, ignore=kept)
    command = [sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-index']
    command += ['--no-build-isolation', '--wheel-dir', str(folder), str(source)]
    subprocess.run(command, check=True, timeout=300)
    with zipfile.ZipFile(next(folder.glob('*.whl'))) as wheel:
        wheel.extractall(folder / 'site')
    shutil.rmtree(source)
    return folder / 'site'


def python(installed: Path, *arguments: str) -> str:
    """Output of a fresh interpreter that finds the wheel's content first."""
    run = subprocess.run(
        [sys.executable, *arguments],
        cwd=installed.parent,
        env={'PYTHONPATH': str(installed), 'PATH': '/usr/bin:/bin', 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout


def test_every_config_study_and_tool_is_in_the_wheel(installed):
    for folder in 'configs', 'studies', 'tools':
        for path in (ROOT / folder).rglob('*.*'):
            if '__pycache__' not in path.parts and 'results' not in path.parts:
                assert (installed / 'mmdssl' / '.mim' / path.relative_to(ROOT)).is_file(), path
    assert not list((installed / 'mmdssl' / '.mim').rglob('__pycache__'))


def test_every_command_explains_itself_and_configs_have_names(installed):
    code = """
from mmdssl.cli import COMMANDS, main
assert main(['--help']) == 0
for name in COMMANDS:
    try:
        assert not main([name, '--help']) or name in ('pretrain', 'study')
    except SystemExit as end:
        assert end.code == 0, name
from mmdssl.engine.config import load_config
config = load_config('ibot-d_vit-small-p16_8xb64-coslr-800e_coco')
assert config.model.decoupling.weight == 0.3
print(config.filename)
"""
    shown = python(installed, '-c', code)
    assert str(installed / 'mmdssl/.mim/configs/ibot') in shown.splitlines()[-1]
    for name in ('train', 'test', 'analyze', 'convert', 'scenes', 'benchmark', 'doctor', 'demo'):
        assert f'usage: mmdssl {name} ' in shown


def test_the_page_on_installation_names_this_wheel(installed):
    (wheel,) = installed.parent.glob('*.whl')
    page = (ROOT / 'docs/installation.md').read_text()
    assert f"pip install 'dist/{wheel.name}[pretrain]' -c constraints.txt" in page


def test_scripts_start_from_the_wheel(installed):
    script = installed / 'mmdssl/.mim/tools/train.py'
    assert 'usage: train.py' in python(installed, str(script), '--help')


@pytest.mark.slow
def test_configs_are_named_from_an_empty_folder(installed):
    """Scenes are written, measured and drawn; the config is in the wheel, all else here."""
    code = """
from mmdssl.cli import main
config = 'ibot-d_vit-micro-p16_1xb24-250i_scenes'
assert main(['scenes', 'data/scenes', '--images', '24', '--val-images', '8', '--workers', '1']) == 0
loader = 'object_knn_dataloader.'
few = [f'{loader}num_workers=0', f'{loader}persistent_workers=False']
assert main(['test', config, '--cfg-options', *few]) == 0
few = ['train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False']
options = ['--num-batches', '1', '--max-images', '2', '--cfg-options', *few]
assert main(['browse', config, *options]) == 0
assert main(['test', config.replace('micro', 'mikro')]) == 2
"""
    shown = python(installed, '-c', code)
    assert 'oknn_d' in shown
    work = installed.parent / 'work_dirs/ibot-d_vit-micro-p16_1xb24-250i_scenes'
    assert (work / 'browse/xd_000.png').is_file()

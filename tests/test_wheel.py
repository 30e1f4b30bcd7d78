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


def test_configs_are_inherited_from_the_wheel(installed):
    code = """
import mmdssl, pathlib
from mmengine.config import Config
root = pathlib.Path(mmdssl.__file__).parent
config = Config.fromfile(root / '.mim/configs/ibot/ibot-d_vit-small-p16_8xb64-coslr-800e_coco.py')
print(root, config.model.decoupling.weight)
"""
    assert python(installed, '-c', code).split() == [str(installed / 'mmdssl'), '0.3']


@pytest.mark.parametrize('tool', ['train.py', 'analyze.py', 'convert.py'])
def test_tools_start_from_the_wheel(installed, tool):
    path = installed / 'mmdssl' / '.mim' / 'tools' / tool
    assert 'usage' in python(installed, str(path), '--help')

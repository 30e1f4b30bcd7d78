"""The floors of the package stand as pyproject.toml orders them, and a wrong import is seen."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

LINT = Path(sys.executable).with_name('lint-imports')
# File that is changed -> what is written into it.
WRONG = {
    'upwards': ('models/utils/queue.py', 'import mmdssl.engine.launch\n'),
    'late': ('core/clock.py', 'def late():\n    from mmdssl.datasets import base\n'),
    'neighbours': ('transfer/voc.py', 'from mmdssl.evaluation.knn import knn_vote\n'),
    'without a floor': ('attic.py', ''),
}

if not LINT.exists():
    pytest.skip('import-linter is not installed: make env-dev', allow_module_level=True)


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT, '--no-cache', '--no-logo'],
        cwd=folder,
        env={**os.environ, 'PYTHONPATH': str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_import_goes_down():
    run = lint(ROOT)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize('fault', WRONG)
def test_a_wrong_import_is_named(tmp_path, fault):
    name, line = WRONG[fault]
    shutil.copy(ROOT / 'pyproject.toml', tmp_path)
    ignore = shutil.ignore_patterns('__pycache__', 'page')
    shutil.copytree(ROOT / 'mmdssl', tmp_path / 'mmdssl', ignore=ignore)
    with (tmp_path / 'mmdssl' / name).open('a') as file:
        file.write(line)
    run = lint(tmp_path)
    assert run.returncode == 1, run.stderr
    assert name.removesuffix('.py').replace('/', '.') in run.stdout

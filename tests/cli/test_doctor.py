"""``mmdssl doctor``: exit status by purpose, remedies in print, imports tried in a subprocess."""

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from mmdssl.cli import doctor as tool
from mmdssl.compat import Package, inspect_stack

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'check_env.py'


@pytest.fixture
def without_ops(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool in an environment that lacks compiled ops, mmdet and mmseg and nothing else."""
    stack = {
        name: Package(name, name not in ('mmcv._ext', 'mmdet', 'mmseg'), {}, None)
        for name in inspect_stack()
    }
    monkeypatch.setattr(tool, 'inspect_stack', lambda: stack)
    return tool


def test_exit_status_is_zero_only_if_the_purpose_works(
    without_ops: ModuleType, capsys: pytest.CaptureFixture[str]
):
    assert without_ops.main(['--for', 'pretrain']) == 0
    out = capsys.readouterr().out
    assert re.search(r'pre-training +works', out)
    assert re.search(r'detection +does not work', out)
    for purpose in ('det', 'seg', 'all'):
        assert without_ops.main(['--for', purpose]) == 1


def test_every_problem_is_printed_with_its_remedy(
    without_ops: ModuleType, capsys: pytest.CaptureFixture[str]
):
    without_ops.main([])
    out = capsys.readouterr().out
    assert out.count('remedy: ') == 3
    assert 'needed for detection, segmentation: mmcv has no compiled ops' in out


def test_runs_with_bare_python_and_says_what_is_missing():
    # -S: no site-packages, hence none of the stack, no rich and no installed mmdssl.
    run = subprocess.run(
        [sys.executable, '-I', '-S', str(TOOL)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1, run.stderr
    assert 'not installed: torch, torchvision, numpy' in run.stdout
    assert run.stdout.count('remedy: ') == 3


def test_failed_imports_are_told_apart(tmp_path: Path, monkeypatch):
    (tmp_path / 'raises.py').write_text('raise ImportError("undefined symbol:\\n _ZN3c10")')
    (tmp_path / 'crashes.py').write_text('import os; os._exit(7)')
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    failures = tool.try_imports(['json', 'raises', 'string', 'crashes', 'csv'])
    assert failures == {
        'raises': 'ImportError undefined symbol: _ZN3c10',
        'crashes': 'the interpreter ended with status 7',
    }


def test_import_that_hangs_counts_as_failed(tmp_path: Path, monkeypatch):
    (tmp_path / 'hangs.py').write_text('import time; time.sleep(60)')
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    assert tool.try_imports(['hangs'], timeout=1) == {'hangs': 'no answer within 1 s'}


def test_failed_import_of_the_ops_reaches_the_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    stack = {name: Package(name, True, {}, None) for name in inspect_stack()}
    monkeypatch.setattr(tool, 'inspect_stack', lambda: stack)
    monkeypatch.setattr(tool, 'try_imports', lambda modules: {'mmcv.ops': 'ImportError libc10.so'})
    assert tool.main(['--for', 'det']) == 1
    assert tool.main(['--for', 'pretrain']) == 0
    assert 'libc10.so' in capsys.readouterr().out


def test_constraints_lie_within_the_bounds_of_the_metadata():
    from packaging.markers import Marker
    from packaging.requirements import Requirement

    pins: dict[str, list[Requirement]] = {}
    for line in (ROOT / 'constraints.txt').read_text().splitlines():
        if line and not line.startswith('#'):
            pin = Requirement(line)
            pins.setdefault(pin.name, []).append(pin)
    text = (ROOT / 'setup.cfg').read_text()
    bounds = [
        Requirement(line.strip())
        for line in text.splitlines()
        if re.match(r' +[a-z][\w-]*[<>=]', line)
    ]
    assert len(bounds) > 15
    for bound in bounds:
        assert bound.name in pins, f'{bound.name} has no tested version in constraints.txt'
        for pin in pins[bound.name]:
            (version,) = [spec.version for spec in pin.specifier]
            assert bound.specifier.contains(version), f'{pin} is outside {bound}'
    # Every supported Python finds exactly one version of each package.
    for name, versions in pins.items():
        for python in ('3.10', '3.11', '3.12'):
            markers = [pin.marker or Marker('python_version > "3"') for pin in versions]
            fitting = [marker.evaluate({'python_version': python}) for marker in markers]
            assert fitting.count(True) == 1, f'{name} for Python {python}'

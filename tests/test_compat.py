"""The stack checks, on made-up stacks: every trouble is found and blocks what it has to block."""

import configparser
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmdssl import compat
from mmdssl.compat import PURPOSES, Package, Problem, diagnose, inspect_stack
from tests.conftest import ROOT

ONEDL = {
    'torch': ('2.10.0+cu128', {'torch': '2.10.0'}),
    'torchvision': ('0.25.0+cu128', {'torchvision': '0.25.0'}),
    'numpy': (None, {'numpy': '2.2.6'}),
    'cv2': ('4.12.0.88', {'opencv-python': '4.12.0.88'}),
    'pycocotools': (None, {'pycocotools': '2.0.11'}),
    'mmengine': ('0.10.12', {'onedl-mmengine': '0.10.12'}),
    'mmcv': ('2.3.6', {'onedl-mmcv': '2.3.6'}),
    'mmcv._ext': (None, {}),
    'mmpretrain': ('1.3.6', {'onedl-mmpretrain': '1.3.6'}),
    'mmdet': ('3.5.1', {'onedl-mmdetection': '3.5.1'}),
    'mmseg': ('1.4.2', {'onedl-mmsegmentation': '1.4.2'}),
}


def make_stack(*absent: str, **changed: tuple[str | None, dict[str, str]]) -> dict[str, Package]:
    """The tested set, without ``absent`` modules and with others replaced."""
    stack = {}
    for module, default in ONEDL.items():
        file_version, distributions = changed.get(module, default)
        gone = module in absent
        stack[module] = Package(
            module, not gone, {} if gone and module not in changed else distributions, file_version
        )
    return stack


def problems_of(stack: dict[str, Package], **kwargs) -> list[Problem]:
    return diagnose(stack, python=(3, 11, 7), **kwargs)


def test_tested_set_has_no_problem():
    assert problems_of(make_stack()) == []


@pytest.mark.parametrize(
    ('absent', 'blocked', 'remedy'),
    [
        ('mmcv._ext', {'det', 'seg'}, 'make env-full'),
        ('mmdet', {'det'}, '.[det]'),
        ('mmseg', {'seg'}, '.[seg]'),
        ('mmpretrain', {'pretrain', 'det', 'seg'}, '.[pretrain]'),
        ('torch', {'pretrain', 'det', 'seg'}, '.[pretrain]'),
    ],
)
def test_missing_package_blocks_exactly_what_needs_it(absent, blocked, remedy):
    (problem,) = problems_of(make_stack(absent))
    assert problem.blocks == blocked
    assert remedy in problem.remedy
    assert '\n' not in problem.remedy


def test_everything_missing_is_one_line_per_extra():
    problems = problems_of(make_stack(*ONEDL))
    assert len(problems) == 3
    assert problems[0].blocks == set(PURPOSES)


def test_both_lines_over_each_other_are_reported_and_the_maintained_one_kept():
    both = {'onedl-mmcv': '2.3.6', 'mmcv': '2.1.0'}
    (problem,) = problems_of(make_stack(mmcv=('2.1.0', both)))
    assert problem.blocks == set(PURPOSES)
    assert 'onedl-mmcv 2.3.6 and mmcv 2.1.0' in problem.message
    assert 'uninstall -y mmcv &&' in problem.remedy
    assert 'onedl-mmcv==2.3.6' in problem.remedy
    assert 'make env-full' in problem.remedy


def test_files_of_another_version_than_pip_knows_are_reported():
    (problem,) = problems_of(make_stack(mmengine=('0.10.7', {'onedl-mmengine': '0.10.12'})))
    assert '0.10.7' in problem.message
    assert problem.remedy.endswith('onedl-mmengine==0.10.12')


def test_installed_distribution_without_files_is_told_from_a_missing_one():
    stack = make_stack('mmdet', mmdet=(None, {'onedl-mmdetection': '3.5.1'}))
    (problem,) = problems_of(stack)
    assert 'gone' in problem.message
    assert '--force-reinstall' in problem.remedy


def test_two_lines_side_by_side_warn_but_do_not_block():
    (problem,) = problems_of(make_stack(mmdet=('3.3.0', {'mmdet': '3.3.0'})))
    assert problem.blocks == frozenset()
    assert 'mmdet' in problem.message


def test_upstream_line_works_until_numpy_2():
    upstream = {
        'mmengine': ('0.10.7', {'mmengine': '0.10.7'}),
        'mmcv': ('2.1.0', {'mmcv': '2.1.0'}),
        'mmpretrain': ('1.2.0', {'mmpretrain': '1.2.0'}),
        'mmdet': ('3.3.0', {'mmdet': '3.3.0'}),
        'mmseg': ('1.2.2', {'mmsegmentation': '1.2.2'}),
    }
    assert problems_of(make_stack(**upstream, numpy=(None, {'numpy': '1.26.4'}))) == []
    (problem,) = problems_of(make_stack(**upstream))
    assert 'numpy 2' in problem.message


def test_two_opencv_of_one_version_are_fine_and_of_two_versions_are_not():
    same = {'opencv-python': '4.12.0.88', 'opencv-python-headless': '4.12.0.88'}
    assert problems_of(make_stack(cv2=('4.12.0.88', same))) == []
    other = {**same, 'opencv-python-headless': '4.11.0.86'}
    (problem,) = problems_of(make_stack(cv2=('4.11.0.86', other)))
    assert problem.blocks == frozenset()
    assert 'uninstall -y opencv-python-headless' in problem.remedy


@pytest.mark.parametrize(
    ('torch', 'vision', 'fits'),
    [
        ('2.6.0', '0.21.0', True),
        ('2.10.0+cu128', '0.25.0+cu128', True),
        ('2.11.0+cu130', '0.26.0+cu130', True),
        ('2.13.0+cpu', '0.25.0', False),
        ('2.10.0', '0.24.0', False),
        ('2.10.0+cpu', '0.25.0+cu128', False),
    ],
)
def test_torch_and_torchvision_have_to_fit(torch, vision, fits):
    stack = make_stack(
        torch=(torch, {'torch': torch}), torchvision=(vision, {'torchvision': vision})
    )
    problems = problems_of(stack)
    assert (problems == []) is fits
    assert all(problem.blocks == set(PURPOSES) for problem in problems)


def test_bounds_of_the_metadata_are_those_of_the_checks():
    declared = configparser.ConfigParser()
    declared.read(ROOT / 'setup.cfg')
    lines = declared['options.extras_require']['pretrain'].splitlines()
    bounds = {name: version for name, _, version in (line.partition('>=') for line in lines)}
    torch = tuple(int(part) for part in bounds['torch'].split(',')[0].split('.'))
    vision = tuple(int(part) for part in bounds['torchvision'].split(',')[0].split('.'))
    assert torch == compat._SAFE_LOADING
    assert vision == (0, torch[1] + 15)


@pytest.mark.parametrize(
    ('python', 'fits'),
    [((3, 9, 18), False), ((3, 10, 0), True), ((3, 12, 9), True), ((3, 13, 0), False)],
)
def test_python_out_of_range_is_reported(python, fits):
    assert (diagnose(make_stack(), python=python) == []) is fits


def test_ops_that_do_not_load_are_to_be_compiled_again():
    (problem,) = problems_of(make_stack(), failures={'mmcv._ext': 'ImportError undefined symbol'})
    assert problem.blocks == {'det', 'seg'}
    assert 'undefined symbol' in problem.message
    assert 'make env-full' in problem.remedy


def test_one_error_in_several_packages_is_one_problem_of_the_first():
    error = 'AssertionError nms miss in module _ext'
    failures = {'mmcv._ext': error, 'mmpretrain': error, 'mmdet': error}
    (problem,) = problems_of(make_stack(), failures=failures)
    assert problem.blocks == set(PURPOSES)
    assert 'make env-full' in problem.remedy


def test_a_wheel_without_its_checkout_names_no_file_of_it(tmp_path):
    """In the folder of whoever installed a wheel there is no Makefile and no constraints.txt."""
    file = Path(shutil.copy(compat.__file__, tmp_path))
    spec = importlib.util.spec_from_file_location('compat_of_a_wheel', file)
    wheel = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(wheel)
    stack = make_stack('mmcv._ext', 'mmdet')
    ops, det = (problem.remedy for problem in wheel.diagnose(stack, python=(3, 11, 7)))
    assert ops.startswith('in a checkout of mmdssl: make env-full')
    assert det == "pip install 'mmdssl[det]'"
    (old,) = wheel.diagnose(make_stack(), python=(3, 9, 0))
    assert old.remedy.startswith('in a checkout of mmdssl: make env')


def test_ops_that_pre_training_does_not_need_are_not_missed():
    code = (
        'import warnings, mmdssl\n'
        'warnings.warn("Fail to import ``MultiScaleDeformableAttention`` from mmcv.ops")\n'
        'warnings.warn("of something else")'
    )
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert 'MultiScale' not in run.stderr
    assert 'of something else' in run.stderr


def test_blocking_problems_come_first():
    stack = make_stack('mmcv._ext', mmdet=('3.3.0', {'mmdet': '3.3.0'}))
    assert [bool(problem.blocks) for problem in problems_of(stack)] == [True, False]


def test_inspection_reads_owner_version_and_ops_from_the_disk(tmp_path: Path):
    for module, text in {
        'mmcv': "# comment\n__version__ = '2.1.0'\n",
        'torch': "__version__: str = '2.10.0+cpu'\n",
        'cv2': 'opencv_version = "4.12.0.88"\ncontrib = False\n',
    }.items():
        (tmp_path / module).mkdir()
        (tmp_path / module / 'version.py').write_text(text)
    (tmp_path / 'mmcv' / '_ext.cpython-311-x86_64-linux-gnu.so').touch()

    def folder(module: str) -> Path | None:
        path = tmp_path / module
        return path if path.exists() else None

    versions = {'onedl-mmcv': '2.3.6', 'torch': '2.10.0'}
    stack = inspect_stack(folder=folder, installed=versions.get)
    assert stack['mmcv'].version == '2.1.0'
    assert stack['mmcv'].owner == ('onedl-mmcv', '2.3.6')
    assert stack['mmcv'].mislabelled
    assert stack['mmcv._ext'].present
    assert stack['torch'].version == '2.10.0+cpu'
    assert not stack['torch'].mislabelled
    assert stack['cv2'].version == '4.12.0.88'
    assert not stack['mmdet'].present


def test_inspection_of_this_environment_imports_nothing():
    code = (
        'import sys; from mmdssl.compat import diagnose, inspect_stack; diagnose(inspect_stack());'
        'print([m for m in ("torch", "mmengine", "mmcv", "cv2", "numpy") if m in sys.modules])'
    )
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == '[]'


def test_require_stack_says_what_is_missing_and_the_remedy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compat, 'inspect_stack', lambda: make_stack('mmcv._ext'))
    compat.require_stack('pretrain')
    with pytest.raises(ImportError, match=r'no compiled ops.*Remedy: make env-full'):
        compat.require_stack('det')
    with pytest.raises(ValueError, match='detection'):
        compat.require_stack('detection')


@pytest.mark.parametrize('version', ['2.4.1', '2.5.1+cu121', '1.13.1'])
def test_torch_that_runs_code_of_checkpoints_is_refused(version):
    vision = f'0.{int(version.split(".")[1]) + 15}.0' if version[0] == '2' else '0.14.1'
    stack = make_stack(
        torch=(version, {'torch': version}), torchvision=(vision, {'torchvision': vision})
    )
    first = problems_of(stack)[0]
    assert 'CVE-2025-32434' in first.message
    assert first.blocks == set(PURPOSES)
    with pytest.raises(ImportError, match=r'CVE-2025-32434.*torch>=2\.6'):
        compat.require_safe_loading(version)


def test_torch_of_this_machine_reads_checkpoints_safely():
    compat.require_safe_loading()
    compat.require_safe_loading('2.6.0a0+git')

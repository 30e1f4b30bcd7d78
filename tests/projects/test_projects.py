"""Every method outside the package is short, documented, and trains on generated scenes."""

from pathlib import Path

import pytest
import torch

from tests.commands import run_command
from tests.projects.code_lines import code_lines
from tests.tiny_scenes import write_tiny_scenes
from tools.make_model_index import read_header

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = ROOT / 'projects'
METHODS = sorted(PROJECTS.glob('*/decoupled_*.py'))
FOLDERS = [path.parent for path in METHODS]
CONFIGS = sorted({path for folder in FOLDERS for path in folder.glob('*.py')} - set(METHODS))


def name_of(path: Path) -> str:
    return path.parent.name


def test_two_projects_with_a_method_and_a_config_each():
    assert [name_of(path) for path in METHODS] == ['byol', 'simmim']
    assert {name_of(path) for path in CONFIGS} == {'byol', 'simmim'}


def test_lines_are_counted_without_words(tmp_path):
    file = tmp_path / 'x.py'
    file.write_text(
        '"""Words\nof two lines."""\n\nimport os\nfrom a import (\n    b,\n)\n\n# a remark\n'
        'def f(\n    x,  # a remark\n):\n    """Words."""\n\n    return """a\nb"""\n'
    )
    assert code_lines(file) == 5  # def, x, ):, and the two lines of the value


@pytest.mark.parametrize('path', METHODS, ids=name_of)
def test_a_method_is_at_most_forty_lines(path):
    assert code_lines(path) <= 40


@pytest.mark.parametrize('path', CONFIGS, ids=name_of)
def test_headers_and_tutorials_say_what_a_reader_needs(path):
    relative = path.relative_to(ROOT).as_posix()
    assert relative in read_header(path)['Command']
    assert relative in (path.parent / 'README.md').read_text()


@pytest.fixture(scope='module')
def data(tmp_path_factory) -> Path:
    return write_tiny_scenes(tmp_path_factory.mktemp('scenes'), images=8, val_images=4)


@pytest.mark.parametrize('path', CONFIGS, ids=name_of)
def test_config_trains_through_the_tool(path, data, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    small = ['data_root=' + str(data), 'train_cfg.max_iters=2', 'log_level=WARNING']
    small += [f'train_dataloader.{name}' for name in ('batch_size=4', 'num_workers=0')]
    small += ['train_dataloader.persistent_workers=False', 'param_scheduler.0.warmup_iters=1']
    small += ['object_knn_dataloader.num_workers=0', 'object_knn_dataloader.batch_size=4']
    small += ['object_knn_dataloader.persistent_workers=False', 'custom_hooks.3.interval=2']
    small += ['custom_hooks.3.initial=False']
    run_command('train', path, '--work-dir', tmp_path, '--cfg-options', *small)
    saved = torch.load(tmp_path / 'iter_2.pth', weights_only=True)
    assert saved['meta']['evaluated_backbone'] == 'student'
    scalars = saved['message_hub']['log_scalars']
    assert {'train/loss', 'train/loss_decoupling'} <= scalars.keys()
    assert any('oknn' in name for name in scalars)
    assert all(torch.as_tensor(s['values']).isfinite().all() for s in scalars.values())

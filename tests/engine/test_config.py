"""`data_root` as an option moves every path below it, and nothing else."""

import sys

import pytest

from mmdssl.engine.config import load_config


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(
        "data_root = 'data/coco/'\n"
        "train = dict(dataset=dict(data_root=data_root + 'train2017/'), size=(14, 14))\n"
        "other = [dict(data_root='data/coco/'), 'data/coconut/x', 'data/coco', 3]\n"
    )
    return path


def test_data_root_moves_every_path_below_it(config_file):
    config = load_config(config_file, {'data_root': '/photos', 'train.size': 7})
    assert config.data_root == '/photos/'
    assert config.train.dataset.data_root == '/photos/train2017/'
    assert config.train.size == 7
    assert config.other[0].data_root == '/photos/'
    assert config.other[1:] == ['data/coconut/x', '/photos/', 3]


def test_without_options_the_file_is_read_as_it_is(config_file):
    config = load_config(config_file)
    assert config.train.dataset.data_root == 'data/coco/train2017/'
    assert config.train.size == (14, 14)


def test_missing_file_and_missing_root_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nowhere\.py'):
        load_config(tmp_path / 'nowhere.py')
    path = tmp_path / 'empty.py'
    path.write_text('x = 1\n')
    with pytest.raises(ValueError, match='no data_root'):
        load_config(path, {'data_root': 'x'})


def test_modules_of_the_current_folder_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'path', list(sys.path))
    folder = tmp_path / 'own_methods_of_a_user'
    folder.mkdir()
    (folder / 'method.py').write_text('value = 3\n')
    path = tmp_path / 'config.py'
    path.write_text("custom_imports = dict(imports=['own_methods_of_a_user.method'])\n")
    with pytest.raises(ImportError):
        load_config(path)
    monkeypatch.chdir(tmp_path)
    load_config(path)
    assert sys.modules['own_methods_of_a_user.method'].value == 3
    assert sys.path[-1] == str(tmp_path)

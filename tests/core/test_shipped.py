"""A config of the package is found by its name, from anywhere; others are found by their path."""

import pytest

from mmdssl.core.shipped import find_config, shipped
from mmdssl.engine.config import load_config
from tests.reference import ROOT

NAME = 'ibot-d_vit-small-p16_8xb64-coslr-800e_coco.py'


def test_names_of_shipped_configs_are_unique():
    names = [path.name for path in ROOT.glob('configs/**/*.py') if '_base_' not in path.parts]
    assert len(set(names)) == len(names) > 50


@pytest.mark.parametrize(
    'name', [NAME, NAME.removesuffix('.py'), f'ibot/{NAME}', f'configs/ibot/{NAME[:-3]}']
)
def test_a_shipped_config_is_found_from_anywhere(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(name) == shipped('configs') / 'ibot' / NAME
    assert load_config(name).model.decoupling.weight == 0.3


def test_a_file_of_the_same_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / NAME).write_text('mine = 1\n')
    assert load_config(NAME).mine == 1


@pytest.mark.parametrize(
    ('name', 'near'),
    [
        ('ibot-d_vit-smal-p16_8xb64-coslr-800e_coco', f'(near it: {NAME}'),
        (f'my/{NAME}', f'(near it: {NAME}'),
        ('nowhere.py', 'no config file nowhere.py, here or among those of mmdssl'),
        ('scenes_object_knn', 'no config file'),  # a part of configs, not one
        ('.', 'no config file .'),
    ],
)
def test_a_name_of_nothing_is_one_sentence_with_near_ones(name, near, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as error:
        find_config(name)
    assert near in str(error.value)
    assert '\n' not in str(error.value)

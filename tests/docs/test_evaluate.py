"""The page on evaluation: the commands that README lacks run as printed, at a small scale."""

import json
import re
import shlex
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from PIL import Image

from mmdssl.engine.config import load_config
from mmdssl.registry import MODELS
from tests.configs.test_in_context import write
from tests.conftest import ROOT
from tests.docs.page import commands, load
from tests.tiny_scenes import write_tiny_scenes

DEMO = 'densecl-d_r18w16-64px_1xb32-150i_scenes'
DEMO_CHECKPOINT = 'work_dirs/demo/iter_150.pth'
PICTURES = ROOT / 'docs/pictures'
FEW = '--cfg-options test_dataloader.num_workers=0 test_dataloader.batch_size=2'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """What the page takes for granted: weights, both data sets in small, a photo."""
    folder = tmp_path_factory.mktemp('page')
    named = dict(re.findall(r'^([A-Z]+)=(\S+)', '\n'.join(commands(load('evaluate.md'))), re.M))
    vit = dict(type='DenseViT', arch='deit-small', img_size=224, patch_size=16)
    demo = load_config(DEMO).model
    (folder / DEMO_CHECKPOINT).parent.mkdir(parents=True)
    (folder / 'weights').mkdir()
    with DefaultScope.overwrite_default_scope('mmdssl'):
        for model, file in ((vit, named['VIT']), (demo, DEMO_CHECKPOINT)):
            torch.save(dict(state_dict=MODELS.build(model).state_dict()), folder / file)
    write_tiny_scenes(folder / 'data/demo', images=1, val_images=4)
    write(folder / named['VOC'], 'voc12', ())
    write(folder / named['ADE'], 'ade20k', ())
    Image.effect_noise((48, 40), 60).convert('RGB').save(folder / 'photo.jpg')
    return folder, named


def run(line: str, named: dict[str, str], *more: str) -> None:
    """A command of the page in this process, where the modules are loaded already."""
    line = re.sub(r'\$([A-Z]+)', lambda match: named[match[1]], line)
    _, name, *words = shlex.split(line)
    assert import_module(f'mmdssl.cli.{name}').main([*words, *more]) == 0


def test_the_commands_for_label_maps_read_both_data_sets(folder, monkeypatch):
    root, named = folder
    monkeypatch.chdir(root)
    lines = [line for line in commands(load('evaluate.md')) if line.startswith('mmdssl test')]
    assert len(lines) == 2
    for line, prefix in zip(lines, ('in_context', 'patch_knn'), strict=True):
        run(line, named, '--out', 'numbers.json', *FEW.split())
        numbers = json.loads(Path('numbers.json').read_text())
        assert numbers[f'{prefix}/num_images'] == 2
        assert 0 <= numbers[f'{prefix}/miou_low'] <= numbers[f'{prefix}/miou_high'] <= 100


def test_the_command_for_affinity_draws_both_networks(folder, monkeypatch):
    root, named = folder
    monkeypatch.chdir(root)
    (line,) = (one for one in commands(load('evaluate.md')) if 'analyze affinity' in one)
    run(line, named, '--out', 'affinity')
    with Image.open('affinity/affinity.png') as new, Image.open(PICTURES / 'affinity.png') as shown:
        assert new.size == shown.size
    assert {'random', 'trained'} <= set(re.split(r'\W+', Path('affinity/affinity.csv').read_text()))


def test_the_commands_for_masks_draw_what_the_page_shows(folder, monkeypatch):
    root, named = folder
    monkeypatch.chdir(root)
    text = load('evaluate.md')
    lines = [line for line in commands(text) if line.startswith('mmdssl analyze masks')]
    shown = set(re.findall(r'\(pictures/(\w+)\.png\)', text.partition('## Masks')[2]))
    assert shown
    assert len(lines) == 2
    for number, line in enumerate(lines):
        run(line, named, '--out', f'masks{number}')
        assert shown <= {path.stem for path in Path(f'masks{number}').glob('*.png')}
    for name in shown:  # the page shows what the first of them draws
        with Image.open(f'masks0/{name}.png') as new, Image.open(PICTURES / f'{name}.png') as old:
            assert new.size == old.size
            apart = np.subtract(new.convert('RGB'), old.convert('RGB'), dtype=float)
        assert np.abs(apart).mean() < 4, name  # of 255: fonts and palettes may differ

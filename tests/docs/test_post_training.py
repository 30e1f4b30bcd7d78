"""The page on post-training: its commands are of tools that know them, and run as printed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmdssl.conversion.convert import export_backbone
from mmdssl.engine.pretraining.catalogue import shipped_configs
from mmdssl.engine.pretraining.request import read_request
from mmdssl.models.backbones import DenseViT
from tests.conftest import ROOT
from tests.docs.page import commands, load, options_of, small, write_folder
from tests.tiny_scenes import write_tiny_scenes

PAGE = 'post_training.md'
_FEW = 'batch=4 views.size=56 epochs=1 workers=0'
SMALL = (
    ('dry_run=true', f'dry_run=true {_FEW}'),
    ('out=work_dirs/adapted\nmmdssl train', f'out=work_dirs/adapted {_FEW}\nmmdssl train'),
    (
        'data_root=$PHOTOS model.init=weights/start.pth',
        'data_root=$PHOTOS model.init=weights/start.pth train_dataloader.batch_size=4 '
        'train_cfg.max_epochs=2 efficiency.workers=0',
    ),
    ('adapted=$CHECKPOINT', 'adapted=$CHECKPOINT --num-samples 2 --bootstrap 10'),
)


@pytest.fixture(scope='module')
def text() -> str:
    return load(PAGE)


def test_its_links_lead_somewhere_and_the_configs_lead_to_it(text):
    for target in re.findall(r'\]\(([^)#]+)\)', text):
        assert (ROOT / 'docs' / target).exists(), target
    for name in re.findall(r'configs/[\w/.-]+\.py', text):
        assert (ROOT / name).is_file(), name
    readme = (ROOT / 'configs/posttrain/README.md').read_text()
    assert f'docs/{PAGE}' in readme
    there = {one.path.name for one in shipped_configs() if one.continues}
    assert set(re.findall(r'\(([\w.-]+\.py)\)', readme)) == there
    assert set(re.findall(r'`([a-z-]+-d(?:-gram)?)`', text)) == {
        one.method for one in shipped_configs() if one.continues
    }


def test_every_command_is_of_a_tool_that_has_these_options(text):
    lines = commands(text)
    assert len(small(lines, SMALL)) == len(lines)
    for line in lines:
        words = shlex.split(line)
        if words[0] != 'mmdssl':
            assert re.match(r'[A-Z]+=', line), f'neither an assignment nor a command: {line}'
        elif words[1] == 'pretrain':
            read_request(words[2], dict(word.split('=', 1) for word in words[3:]))
        else:
            given = {word for word in words if word.startswith('--')}
            assert given <= options_of(words), line


@pytest.mark.slow
def test_all_commands_of_the_page_run_in_order(text, tmp_path):
    """python -m pytest -m slow tests/docs/test_post_training.py"""
    folder = write_folder(tmp_path, text)
    write_tiny_scenes(folder / 'data/scenes', images=8, val_images=4)
    net = DenseViT(arch='deit-small', patch_size=14, img_size=518, layer_scale_init_value=1.0)
    net.init_weights()
    own = {f'backbone.{name}': value for name, value in net.state_dict().items()}
    torch.save(dict(meta={}, state_dict=own), folder / 'net.pth')
    given = export_backbone(folder / 'net.pth', to='dinov2').state
    torch.save(given, folder / 'dinov2_vits14_pretrain.pth')
    run = subprocess.run(
        ['bash', '-c', 'set -e\n' + '\n'.join(small(commands(text), SMALL))],
        cwd=folder,
        env={
            **os.environ,
            'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
            'OMP_NUM_THREADS': '1',
            'XDG_CACHE_HOME': str(folder / 'cache'),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    output = run.stdout + run.stderr
    assert run.returncode == 0, output[-4000:]
    assert re.search(
        r'IBOT starts with backbone: 175 of 175 tensors from .*start\.pth; head: new', output
    )
    back = torch.load(folder / 'weights/adapted_dinov2.pth', weights_only=True)['state_dict']
    assert {name: value.shape for name, value in back.items()} == {
        name: value.shape for name, value in given.items()
    }
    assert (folder / 'weights/adapted/model.safetensors').is_file()
    assert (folder / 'work_dirs/measured/object_knn.csv').is_file()

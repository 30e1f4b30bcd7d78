"""The page on images of other kinds: its commands run as printed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from mmdssl.datasets.picture_plugins import PACKAGES
from mmdssl.engine.pretraining.request import OPTIONS
from tests.docs.page import commands, load, small

PAGE = 'channels.md'
SMALL = (
    ('--images 400', '--images 10 --preset demo'),
    ('out=work_dirs/five channels=5', 'out=work_dirs/five channels=5 epochs=1 batch=4 workers=0'),
    ('proposals=five.npz', 'proposals=five.npz epochs=1 batch=4 workers=0 views.size=64'),
    ('five=$CHECKPOINT --num-samples 4', 'five=$CHECKPOINT --num-samples 2 --size 96 --no-lsc'),
    ('--data data/five', '--data data/five --num 6 --size 96 --bootstrap 5 --workers 0'),
)


def test_it_names_the_packages_and_options_there_are():
    text = load(PAGE) + load('troubleshooting.md')
    assert all(package in text for package in PACKAGES.values())
    assert all(f'{option}=' in text for option in ('channels', 'scale'))
    assert {'channels', 'scale'} <= OPTIONS.keys()


@pytest.mark.slow
def test_all_commands_of_the_page_run_in_order(tmp_path):
    """python -m pytest -m slow tests/docs/test_channels.py"""
    pytest.importorskip('tifffile')
    run = subprocess.run(
        ['bash', '-c', 'set -e\n' + '\n'.join(small(commands(load(PAGE)), SMALL))],
        cwd=tmp_path,
        env={
            **os.environ,
            'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}',
            'OMP_NUM_THREADS': '1',
            'XDG_CACHE_HOME': str(tmp_path / 'cache'),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    output = run.stdout + run.stderr
    assert run.returncode == 0, output[-4000:]
    assert 'it takes images of 5 channels' in output
    state = load_file(tmp_path / 'work_dirs/five/timm.safetensors')
    assert state['patch_embed.proj.weight'].shape[1] == 5
    assert (tmp_path / 'work_dirs/five/browse/batch_000.png').is_file()
    assert 'five.npz fits data/five/train' in output
    assert (tmp_path / 'other.png').read_bytes() != (tmp_path / 'five.png').read_bytes()
    page = tmp_path / 'work_dirs/five/report/report.html'
    assert 'shown in false colours' in page.read_text()
    card = json.loads((tmp_path / 'work_dirs/five/card/five.json').read_text())
    assert {'speed', 'objects', 'background', 'position', 'consistency'} <= card['groups'].keys()

"""``mmdssl analyze report``: checkpoints and photos in, one page out; bad input is one sentence."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmdssl.cli import analyze
from mmdssl.registry import MODELS

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs' / 'object_knn' / 'mobilenet-v2_coco-mini.py'
SMALL = ['--size', '64', '--lsc-size', '96', '--num-samples', '2']
SMALL += ['--cfg-options', 'model.backbone.widen_factor=0.35']


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('photos')
    generator = np.random.default_rng(0)
    for number in range(4):
        pixels = generator.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f'{number}.png')
    return folder


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    torch.manual_seed(1)
    net = MODELS.build(dict(type='MobileNetV2', widen_factor=0.35))
    path = tmp_path_factory.mktemp('weights') / 'net.pth'
    torch.save(net.state_dict(), path)
    return path


def content(path: Path) -> dict:
    found = re.search(r'id="data">(.*?)</script>', path.read_text(), re.DOTALL)
    return json.loads(found[1])


def test_several_networks_stand_on_one_page_with_tables(photos, checkpoint, tmp_path):
    table = tmp_path / 'coupling_of_objects.csv'
    table.write_text('network,cr,pairs\nmine,1.23456,200\n')
    out = tmp_path / 'new' / 'page.html'
    command = [
        'report',
        str(CONFIG),
        'untrained=random',
        f'mine={checkpoint}',
        '--image-dir',
        str(photos),
    ]
    analyze.main([*command, '--out', str(out), '--tables', str(table), *SMALL])
    data = content(out)
    assert data['networks'] == ['untrained', 'mine']
    assert [image['name'] for image in data['images']] == ['0.png', '2.png']
    assert data['images'][1]['lsc'][1]['grid'] == [2, 2]
    assert data['images'][1]['lsc'][1]['border'] == pytest.approx(2 / 6)
    first, second = (image['data'] for image in data['images'][0]['maps'])
    assert first != second
    text = out.read_text()
    assert '<h2>Local semantic consistency</h2>' in text
    assert '<h2>coupling of objects</h2>' in text
    assert '<td>1.235</td><td>200</td>' in text
    assert str(tmp_path) not in text


def test_a_folder_gets_a_page_of_the_untrained_net_without_lsc(photos, tmp_path):
    command = ['report', str(CONFIG), '--image-dir', str(photos), '--no-lsc']
    analyze.main([*command, '--out', str(tmp_path / 'folder'), *SMALL])
    data = content(tmp_path / 'folder' / 'report.html')
    assert data['networks'] == ['random']
    assert data['images'][0]['lsc'] == []


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['random', 'random'], "two networks are named 'random'"),
        (['nowhere.pth'], 'nowhere.pth'),
        (['--tables', 'nowhere.csv'], 'no table nowhere.csv'),
        (['--lsc-size', '64'], 'smaller than a crop'),
    ],
)
def test_unusable_input_is_one_sentence(refused, photos, tmp_path, arguments, message):
    command = ['report', *SMALL, '--image-dir', str(photos), '--out', str(tmp_path), str(CONFIG)]
    refused(re.escape(message), [*command, *arguments])


def test_a_checkpoint_of_another_net_is_one_sentence(refused, photos, tmp_path):
    torch.save(dict(weight=torch.zeros(3)), tmp_path / 'other.pth')
    command = ['report', str(CONFIG), str(tmp_path / 'other.pth'), '--image-dir', str(photos)]
    refused('covers too little of MobileNetV2', [*command, '--out', str(tmp_path), *SMALL])

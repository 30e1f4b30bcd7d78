"""``mmdssl openimages``: list, report, links, and errors in one line."""

import json

import pytest

from mmdssl.cli import openimages as tool
from tests.datasets.openimages_files import write_boxes, write_classes, write_coco_counts


@pytest.fixture
def command(tmp_path):
    rows = [('aa', 'Dog'), ('aa', 'Tree'), ('bb', 'Man'), ('cc', 'Tree'), ('dd', 'Man', 1)]
    return [
        str(write_boxes(tmp_path / 'boxes.csv', rows)),
        str(write_classes(tmp_path / 'classes.csv', ['Dog', 'Tree', 'Man'])),
        str(write_coco_counts(tmp_path / 'coco.json', {'dog': 1, 'person': 2, 'toaster': 1})),
        str(tmp_path / 'out' / 'mini.txt'),
    ]


def test_list_and_report(command, tmp_path, capsys):
    assert tool.main(command) == 0
    assert (tmp_path / 'out/mini.txt').read_text() == 'train/aa\ntrain/bb\ntrain/dd\n'
    report = json.loads((tmp_path / 'out/mini.txt.json').read_text())
    assert (report['images'], report['objects'], report['categories']) == (3, 4, 3)
    assert report['settings'] == dict(boxes='boxes.csv', coco='coco.json', seed=0, groups=True)
    printed = capsys.readouterr().out
    assert 'published' in printed
    assert '146000' in printed
    assert 'not found in Open Images: toaster' in printed


def test_options_reach_the_choice(command, tmp_path):
    table = tmp_path / 'table.json'
    table.write_text('{"toaster": ["Tree"]}')
    options = ['--no-groups', '--no-prefix', '--shared-classes', str(table), '--seed', '3']
    assert tool.main([*command, *options]) == 0
    # dd is a group; of aa and cc only one fits the single toaster of COCO.
    listed = (tmp_path / 'out/mini.txt').read_text().split()
    assert listed in (['aa', 'bb'], ['bb', 'cc'])


def test_missing_images_are_said_and_leave_the_list(command, tmp_path, capsys):
    images = tmp_path / 'images'
    images.mkdir()
    for name in ('aa', 'bb'):
        (images / f'{name}.jpg').touch()
    links = ['--image-dir', str(images), '--link', str(tmp_path / 'links')]
    assert tool.main([*command, *links]) == 1
    assert '1 of 3 chosen images are not in' in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / 'links').iterdir()) == ['aa.jpg', 'bb.jpg']
    (images / 'dd.jpg').touch()
    assert tool.main([*command, *links]) == 0


def test_mistakes_are_one_line(command, tmp_path, capsys):
    assert tool.main([str(tmp_path / 'no.csv'), *command[1:]]) == 2
    assert capsys.readouterr().err.startswith('error: there is no file')
    assert tool.main([command[1], *command[1:]]) == 2
    error = capsys.readouterr().err
    assert 'lacks the column' in error
    assert error.count('\n') == 1
    table = tmp_path / 'table.json'
    table.write_text('{"person": "Man"}')
    assert tool.main([*command, '--shared-classes', str(table)]) == 2
    assert 'must be of the form' in capsys.readouterr().err

"""The photos of a card: which are chosen, what is left out, and what is said of bad data."""

import json
import os
import shutil

import pytest

from mmdssl.datasets.coco_objects import CocoObjects
from mmdssl.engine.card import data as module
from mmdssl.engine.card.data import choose_data
from tests.tiny_scenes import write_tiny_scenes


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    return write_tiny_scenes(tmp_path_factory.mktemp('scenes'), images=7, val_images=5)


@pytest.fixture
def own(scenes, tmp_path):
    return shutil.copytree(scenes, tmp_path / 'own')


def test_the_choice_is_that_of_the_data_set(scenes, tmp_path):
    found = choose_data(scenes, tmp_path, num=3)
    whole = CocoObjects(
        ann_file='annotations/instances_train.json', data_root=scenes, data_prefix='train',
        max_images=3,
    )  # fmt: skip
    part = CocoObjects(ann_file=found.bank, data_prefix=found.bank_images)
    assert part.classes == whole.classes
    for index in range(3):
        one, other = whole.get_data_info(index), part.get_data_info(index)
        assert one['img_id'] == other['img_id']
        assert (one['gt_bboxes'] == other['gt_bboxes']).all()
        assert (one['gt_labels'] == other['gt_labels']).all()
    assert found.outlines
    assert (found.facts['bank']['images'], found.facts['bank']['of_images']) == (3, 7)
    assert len(list(found.photos.iterdir())) == found.facts['photos']['copied'] == 3


def test_the_same_choice_is_not_made_twice(scenes, tmp_path, monkeypatch):
    first = choose_data(scenes, tmp_path, num=3)
    monkeypatch.setattr(module, 'decode_image', None)
    assert choose_data(scenes, tmp_path, num=3) == first
    with pytest.raises(TypeError):
        choose_data(scenes, tmp_path, num=2)


def test_photos_that_cannot_be_read_are_left_out_and_named(own, tmp_path):
    names = sorted(path.name for path in (own / 'val').iterdir())
    (own / 'val' / names[0]).write_bytes(b'no picture')
    (own / 'val' / names[1]).unlink()
    found = choose_data(own, tmp_path / 'out', num=5)
    kept = [one['file_name'] for one in json.loads(found.query.read_text())['images']]
    assert sorted(kept) == names[2:]
    left_out = ' '.join(found.facts['query']['left_out'])
    assert names[0] in left_out
    assert names[1] in left_out


def test_photos_of_another_folder_need_no_labels(own, tmp_path):
    (own / 'more').mkdir()
    for path in sorted((own / 'train').iterdir())[:2]:
        shutil.copy(path, own / 'more')
    (own / 'more' / 'broken.jpg').write_bytes(b'')
    found = choose_data(own, tmp_path / 'out', num=2, photos=own / 'more')
    names = [path.name for path in sorted((own / 'train').iterdir())[:2]]
    assert sorted(found.facts['photos'].pop('names')) == names
    assert found.facts['photos'] == dict(copied=2, of=3)


def test_annotations_that_changed_are_another_choice(own, tmp_path):
    first = choose_data(own, tmp_path / 'out', num=2)
    file = own / 'annotations' / 'instances_val.json'
    content = json.loads(file.read_text())
    content['annotations'][0]['bbox'][2] += 1
    for one in content['annotations']:
        one['bbox'][3] += 1
    file.write_text(json.dumps(content))
    os.utime(file, ns=(1, 1))
    second = choose_data(own, tmp_path / 'out', num=2)
    assert second.facts['bank'] == first.facts['bank']
    assert second.facts['query'] != first.facts['query']


def test_boxes_alone_are_no_outlines(own, tmp_path):
    file = own / 'annotations' / 'instances_val.json'
    content = json.loads(file.read_text())
    for one in content['annotations']:
        one.pop('segmentation')
    file.write_text(json.dumps(content))
    assert not choose_data(own, tmp_path / 'out', num=2).outlines


def test_bad_data_is_named(own, tmp_path):
    def refused(kind, message, **settings):
        with pytest.raises(kind, match=message):
            choose_data(**{'data': own, 'out': tmp_path / 'out', 'num': 2, **settings})

    refused(FileNotFoundError, 'there is no folder .*nowhere: --data is', data=own / 'nowhere')
    refused(
        FileNotFoundError, 'there is no folder .*lost: correct --data',
        image_dirs=['train', 'lost'],
    )  # fmt: skip
    same = ['annotations/instances_val.json'] * 2
    refused(ValueError, 'bank and queries are both', ann_files=same, image_dirs=['val', 'val'])
    for path in (own / 'val').iterdir():
        path.write_bytes(b'')
    refused(ValueError, r'none of 2 photos of .* can be read in .*: correct --image-dir')
    shutil.copy(
        own / 'annotations' / 'instances_val.json', own / 'annotations' / 'instances_val_2.json'
    )
    refused(ValueError, r"not in COCO's layout: annotations/instances_val\*\.json should be one")

"""Scenes in VOC's layout: the boxes of the COCO file by VOC's convention, whole or refused."""

import json
import xml.etree.ElementTree as ET

import pytest

from mmdssl.datasets.scenes import SceneSpec, write_scenes, write_voc


@pytest.fixture
def scenes(tmp_path):
    write_scenes(
        tmp_path / 'scenes', SceneSpec(size=64), images=3, val_images=2, workers=1, progress=False
    )
    return tmp_path / 'scenes'


def corners(node):
    return [int(node.findtext(key)) for key in ('xmin', 'ymin', 'xmax', 'ymax')]


def test_boxes_are_first_and_last_pixel_from_one(scenes, tmp_path):
    file = scenes / 'annotations/instances_train.json'
    content = json.loads(file.read_text())
    content['annotations'] = content['annotations'][:3]
    for annotation, box in zip(
        content['annotations'], ([0, 5, 10, 20], [3, 4, 1, 1], [40, 30, 24, 34]), strict=True
    ):
        annotation.update(image_id=1, category_id=2, bbox=box)
    file.write_text(json.dumps(content))
    assert write_voc(scenes, tmp_path / 'voc', progress=False) == dict(trainval=3, test=2)
    root = ET.parse(tmp_path / 'voc/Annotations/train_000000.xml').getroot()
    objects = root.findall('object')
    assert [corners(o.find('bndbox')) for o in objects] == [
        [1, 6, 10, 25],
        [4, 5, 4, 5],
        [41, 31, 64, 64],
    ]
    assert [o.findtext('truncated') for o in objects] == ['1', '0', '1']
    assert {o.findtext('difficult') for o in objects} == {'0'}
    assert {o.findtext('name') for o in objects} == {content['categories'][1]['name']}
    assert [root.findtext(f'size/{key}') for key in ('width', 'height', 'depth')] == [
        '64',
        '64',
        '3',
    ]
    assert not ET.parse(tmp_path / 'voc/Annotations/train_000001.xml').findall('object')


def test_images_are_the_same_files_under_the_names_of_the_lists(scenes, tmp_path):
    write_voc(scenes, tmp_path / 'voc', progress=False)
    for name, split, number in (('trainval', 'train', 3), ('test', 'val', 2)):
        names = (tmp_path / f'voc/ImageSets/Main/{name}.txt').read_text().split()
        assert names == [f'{split}_{i:06d}' for i in range(number)]
        for i, image in enumerate(names):
            copy = (tmp_path / f'voc/JPEGImages/{image}.jpg').read_bytes()
            assert copy == (scenes / f'{split}/{i:06d}.jpg').read_bytes()


def test_mmdet_reads_the_boxes_of_the_coco_file(scenes, tmp_path):
    pytest.importorskip('mmcv._ext', reason='mmdet needs compiled ops')
    from mmdssl.transfer.voc import VOCDetection

    write_voc(scenes, tmp_path / 'voc', progress=False)
    content = json.loads((scenes / 'annotations/instances_val.json').read_text())
    classes = [category['name'] for category in content['categories']]
    data = VOCDetection(
        data_root=str(tmp_path / 'voc'),
        ann_file='ImageSets/Main/test.txt',
        data_prefix=dict(sub_data_root=''),
        metainfo=dict(classes=classes),
        pipeline=[],
        test_mode=True,
    )
    assert len(data) == len(content['images']) == 2
    for index, image in enumerate(content['images']):
        found = data.get_data_info(index)
        wanted = [a for a in content['annotations'] if a['image_id'] == image['id']]
        assert [o['bbox'] for o in found['instances']] == [
            [x, y, x + w - 1, y + h - 1] for x, y, w, h in (a['bbox'] for a in wanted)
        ]
        assert [o['bbox_label'] + 1 for o in found['instances']] == [
            a['category_id'] for a in wanted
        ]
        assert (found['height'], found['width']) == (64, 64)


def test_no_scenes_missing_images_and_foreign_folders_are_one_sentence(scenes, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no scenes in .*nowhere.*mmdssl scenes'):
        write_voc(tmp_path / 'nowhere', tmp_path / 'voc')
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'photos/mine.jpg').touch()
    with pytest.raises(ValueError, match=r'photos holds something else .* another folder'):
        write_voc(scenes, tmp_path / 'photos')
    (scenes / 'val/000001.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r'1 of 2 images .*000001\.jpg: .*completes'):
        write_voc(scenes, tmp_path / 'voc')
    assert not (tmp_path / 'voc').exists()
    (scenes / 'annotations/instances_val.json').write_text('[1]')
    with pytest.raises(ValueError, match='no annotations of COCO'):
        write_voc(scenes, tmp_path / 'voc')

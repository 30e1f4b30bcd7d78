"""COCO files that mmdet gets: boxes are enough, entries are checked, outlines stay near."""

import json

import numpy as np
import pytest

pytest.importorskip('mmcv.ops')
pytest.importorskip('mmdet')

import mmdet.evaluation.metrics.coco_metric as coco_metric
from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO

from mmdssl.transfer.coco_api import CheckedCOCO, CompletedCOCO, use_checked_coco

POLYGON = [1, 2, 11, 2, 11, 22, 1, 22]


def content(**more):
    annotations = [
        dict(image_id=n % 2, category_id=1, bbox=[1, 2, 10, 20], **more) for n in range(3)
    ]
    return dict(
        images=[dict(id=n, file_name=f'{n}.jpg', height=48, width=64) for n in range(2)],
        annotations=annotations,
        categories=[dict(id=1, name='cat')],
    )


@pytest.fixture
def write(tmp_path):
    def to_file(data, mark=b''):
        path = tmp_path / 'a.json'
        path.write_bytes(mark + json.dumps(data).encode())
        return str(path)

    return to_file


@pytest.mark.parametrize('kind', [CheckedCOCO, CompletedCOCO])
def test_boxes_are_enough(write, kind):
    coco = kind(write(content(), mark=b'\xef\xbb\xbf'))
    entries = coco.load_anns(coco.get_ann_ids(img_ids=[0, 1]))
    assert [entry['area'] for entry in entries] == [200, 200, 200]
    assert {entry['iscrowd'] for entry in entries} == {0}
    assert sorted(entry['id'] for entry in entries) == [1, 2, 3]
    assert coco.cat_img_map[1] == [0, 1, 0]


@pytest.mark.parametrize('ids', [(0, 1, 2), (5, 5, 6), ('a', 'b', 'c')])
def test_ids_that_pycocotools_cannot_take_are_replaced(write, ids):
    data = content()
    for entry, number in zip(data['annotations'], ids, strict=True):
        entry['id'] = number
        entry['bbox'][0] = data['annotations'].index(entry)
    coco = CheckedCOCO(write(data))
    assert sorted(coco.anns) == [1, 2, 3]
    assert [len(coco.imgToAnns[n]) for n in (0, 1)] == [2, 1]


def test_outlines_get_one_form_near_their_image_and_an_area(write):
    data = content()
    first, second, third = data['annotations']
    first['segmentation'] = POLYGON
    second['segmentation'] = [[0, 0, 1e9, 0, 1e9, 1e9, 0, 1e9]]
    third.update(iscrowd='1', segmentation=dict(size=[48, 64], counts=[3072]), area=3)
    coco = CheckedCOCO(write(data))
    one, two, three = (coco.anns[n] for n in (1, 2, 3))
    assert one['segmentation'] == [POLYGON]
    assert one['area'] == 200
    assert np.abs(two['segmentation']).max() <= 128
    assert (three['iscrowd'], three['area']) == (1, 3)
    np.testing.assert_array_equal(coco.annToMask(two), np.ones((48, 64)))


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (lambda d: d['annotations'][1].update(bbox=[1, 2]), r'annotations\[1\].*four numbers'),
        (lambda d: d['images'][1].update(id=0), 'objects would land on other photos'),
        (lambda d: d['annotations'][1].update(segmentation=[[1, 2, 3, 4, 5, 6, 7]]), r'\[1\].*7'),
    ],
)
def test_entries_are_checked(write, damage, message):
    data = content()
    damage(data)
    with pytest.raises(ValueError, match=message):
        CheckedCOCO(write(data))


def test_images_without_annotations_are_a_test_set(write):
    data = content()
    del data['annotations']
    assert len(CheckedCOCO(write(data)).imgs) == 2


def test_mmdets_data_set_reads_boxes_alone(write, monkeypatch):
    # Whatever an earlier test has put there.
    monkeypatch.setattr(CocoDataset, 'COCOAPI', COCO)
    monkeypatch.setattr(coco_metric, 'COCO', COCO)
    path = write(content())
    prefix = dict(img='')
    settings = dict(ann_file=path, data_prefix=prefix, metainfo=dict(classes=('cat',)), pipeline=[])
    with pytest.raises(KeyError, match='id'):
        CocoDataset(**settings)
    use_checked_coco()
    assert [len(CocoDataset(**settings)[n]['instances']) for n in (0, 1)] == [2, 1]
    assert coco_metric.COCO is CompletedCOCO

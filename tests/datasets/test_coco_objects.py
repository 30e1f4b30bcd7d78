"""COCO files: the same objects as pycocotools', contiguous labels, lazy masks, clear errors."""

import json
import pickle

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from mmdssl.datasets import CocoObjects
from mmdssl.datasets.decode import ImageDecodeError
from mmdssl.registry import DATASETS
from tests.datasets.image_files import picture, save

LOAD = [dict(type='LoadImage')]


def annotation(number, image, category, box, **more):
    return dict(id=number, image_id=image, category_id=category, bbox=box, iscrowd=0, **more)


@pytest.fixture
def coco(tmp_path):
    """A function that writes a small COCO folder and returns the arguments to read it."""

    def write(**changes):
        content = dict(
            images=[
                dict(id=9, file_name='b.jpg', height=48, width=64),
                dict(id=4, file_name='a.jpg', height=48, width=64),
                dict(id=7, file_name='empty.jpg', height=48, width=64),
            ],
            annotations=[
                annotation(1, 4, 70, [1, 2, 10, 20], segmentation=[[1, 2, 11, 2, 11, 22, 1, 22]]),
                annotation(2, 9, 3, [5, 5, 8.5, 9.25]),
                annotation(3, 4, 3, [60, 40, 30, 30]),  # sticks out
                annotation(4, 4, 3, [10, 10, 0.5, 20]),  # too narrow
                annotation(5, 4, 3, [63.5, 10, 9, 20]),  # too narrow once clipped
                annotation(6, 9, 12, [0, 0, 30, 30]) | dict(iscrowd=1),
                annotation(7, 7, 12, [0, 0, 0, 30]),
            ],
            categories=[
                dict(id=70, name='toaster'),
                dict(id=3, name='car'),
                dict(id=12, name='dog'),
            ],
        )
        content.update(changes)
        (tmp_path / 'photos').mkdir(exist_ok=True)
        for image in content['images'] or []:
            name = image.get('file_name', 'x.jpg')
            (tmp_path / 'photos' / name).write_bytes(save(picture(), 'JPEG'))
        (tmp_path / 'ann.json').write_text(json.dumps(content))
        return dict(ann_file='ann.json', data_root=str(tmp_path), data_prefix=dict(img='photos'))

    return write


def test_boxes_and_labels_of_a_small_file(coco, tmp_path):
    dataset = DATASETS.build(dict(type='CocoObjects', pipeline=LOAD, **coco()))
    assert dataset.metainfo['classes'] == ('car', 'dog', 'toaster')  # in the order of ids 3 12 70
    assert len(dataset) == 2
    b, a = dataset[0], dataset[1]
    assert (b['img_id'], a['img_id']) == (9, 4)
    assert (b['sample_idx'], a['sample_idx']) == (0, 1)
    assert a['img_path'] == str(tmp_path / 'photos' / 'a.jpg')
    assert a['ann_shape'] == a['img'].shape[:2]
    np.testing.assert_array_equal(b['gt_bboxes'], [[5, 5, 13.5, 14.25]])
    np.testing.assert_array_equal(a['gt_bboxes'], [[1, 2, 11, 22], [60, 40, 64, 48]])
    np.testing.assert_array_equal(a['gt_labels'], [2, 0])
    assert a['gt_bboxes'].dtype == np.float32
    assert a['gt_labels'].dtype == np.int64


def test_images_without_objects_are_kept_on_request(coco):
    dataset = CocoObjects(keep_empty=True, **coco())
    assert [dataset[i]['img_id'] for i in range(3)] == [9, 4, 7]
    assert dataset[2]['gt_bboxes'].shape == (0, 4)
    assert dataset[2]['gt_labels'].shape == (0,)
    assert len(dataset[2]['gt_masks']) == 0


def test_min_size_and_max_images(coco):
    arguments = coco()
    sizes = [len(CocoObjects(min_size=s, **arguments)[-1]['gt_bboxes']) for s in (0.5, 1, 5)]
    assert sizes == [4, 2, 1]
    dataset = CocoObjects(max_images=1, **arguments)
    assert len(dataset) == 1
    assert dataset[0]['img_id'] == 9
    np.testing.assert_array_equal(dataset[0]['gt_labels'], [0])


def test_interleaved_parts_hold_every_image_once(coco):
    arguments = coco()
    whole = [CocoObjects(keep_empty=True, **arguments)[i]['img_id'] for i in range(3)]
    parts = [CocoObjects(keep_empty=True, part=(k, 2), **arguments) for k in (1, 2)]
    found = [[part[i]['img_id'] for i in range(len(part))] for part in parts]
    assert found == [[whole[0], whole[2]], [whole[1]]]
    assert len(CocoObjects(keep_empty=True, part=[1, 2], max_images=1, **arguments)) == 1


@pytest.mark.parametrize('part', [(0, 2), (3, 2), (1, 2, 3), (1,), (3, 3)])
def test_parts_that_are_none_are_refused(coco, part):
    with pytest.raises(ValueError, match=r'part=\(.*: give \(k, n\) with 1 <= k <= n'):
        CocoObjects(part=part, **coco())  # two images with objects


def test_samples_own_their_arrays(coco):
    dataset = CocoObjects(**coco())
    dataset[1]['gt_bboxes'][:] = -1
    dataset[1]['gt_labels'][:] = -1
    assert (dataset[1]['gt_bboxes'] >= 0).all()
    assert (dataset[1]['gt_labels'] >= 0).all()


def test_equals_pycocotools_on_real_annotations(shared):
    root = shared('coco_mini')
    file = root / 'annotations/instances_val2017.json'
    dataset = CocoObjects(ann_file=file, data_root=root, data_prefix='val2017', keep_empty=True)
    reference = COCO(str(file))
    names = [c['name'] for c in reference.loadCats(sorted(reference.getCatIds()))]
    assert dataset.metainfo['classes'] == tuple(names)
    label_of = {id_: label for label, id_ in enumerate(sorted(reference.getCatIds()))}
    assert len(dataset) == len(reference.getImgIds())
    objects = 0
    for index in range(len(dataset)):
        sample = dataset[index]
        image = reference.loadImgs(sample['img_id'])[0]
        kept = [
            a
            for a in reference.loadAnns(reference.getAnnIds(sample['img_id'], iscrowd=False))
            if a['bbox'][2] >= 1 and a['bbox'][3] >= 1
        ]
        objects += len(kept)
        assert sample['img_path'] == str(root / 'val2017' / image['file_name'])
        boxes = np.array([a['bbox'] for a in kept]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        # Some official boxes end up to a hundredth of a pixel outside the image.
        np.testing.assert_allclose(sample['gt_bboxes'], boxes, atol=0.02)
        assert sample['gt_labels'].tolist() == [label_of[a['category_id']] for a in kept]
        if index < 20:
            masks = sample['gt_masks'].decode()
            expected = [reference.annToMask(a).astype(bool) for a in kept]
            assert len(masks) == len(expected)
            for mask, other in zip(masks, expected, strict=True):
                np.testing.assert_array_equal(mask, other)
    assert objects > 500


def test_annotated_size_of_every_real_photo_fits(shared):
    root = shared('coco_mini')
    dataset = CocoObjects(
        ann_file='annotations/instances_val2017.json',
        data_root=root,
        data_prefix='val2017',
        pipeline=LOAD,
    )
    for index in range(0, len(dataset), 5):
        sample = dataset[index]
        assert sample['img'].shape[:2] == sample['ann_shape']
        assert (sample['gt_bboxes'][:, 2:] <= np.array(sample['ann_shape'])[::-1]).all()


def test_run_length_masks_of_both_kinds(coco):
    mask = np.zeros((48, 64), np.uint8, order='F')
    mask[5:15, 7:30] = 1
    mask[8:10, 10:20] = 0
    code = coco_mask.encode(mask)
    flat = mask.ravel(order='F')
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]])))
    counts = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    compressed = dict(size=code['size'], counts=code['counts'].decode())
    plain = dict(size=[48, 64], counts=counts)
    annotations = [
        annotation(1, 4, 3, [7, 5, 23, 10], segmentation=compressed),
        annotation(2, 4, 3, [7, 5, 23, 10], segmentation=plain),
        annotation(3, 4, 3, [7, 5, 23, 10], segmentation=[[7, 5, 30, 5, 30, 15, 7, 15], [1, 1]]),
        annotation(4, 4, 3, [7, 5, 23, 10]),
    ]
    masks = CocoObjects(**coco(annotations=annotations))[0]['gt_masks']
    np.testing.assert_array_equal(masks[0], mask)
    np.testing.assert_array_equal(masks[1], mask)
    filled = np.zeros((48, 64), bool)
    filled[5:15, 7:30] = True
    np.testing.assert_array_equal(masks[2], filled)
    with pytest.raises(ValueError, match='object 3 has no segmentation'):
        masks.decode()


def test_masks_can_be_left_out_and_travel_light(coco, shared):
    assert 'gt_masks' not in CocoObjects(with_masks=False, **coco())[0]
    root = shared('coco_mini')
    dataset = CocoObjects(
        ann_file='annotations/instances_val2017.json', data_root=root, data_prefix='val2017'
    )
    masks = dataset[0]['gt_masks']
    copy = pickle.loads(pickle.dumps(masks))
    np.testing.assert_array_equal(copy.decode(), masks.decode())
    # A sample carries its own outlines, not the whole file's.
    assert len(pickle.dumps(masks)) < len(pickle.dumps(dataset._masks)) / 10


def test_unreadable_image_is_an_error_unless_replacement_is_asked_for(coco, tmp_path):
    arguments = coco()
    (tmp_path / 'photos/a.jpg').write_bytes(b'')
    with pytest.raises(ImageDecodeError, match=r'a\.jpg: the file is empty'):
        CocoObjects(pipeline=LOAD, **arguments)[1]
    replacing = CocoObjects(pipeline=LOAD, on_bad='replace', **arguments)
    with pytest.warns(UserWarning, match=r'a\.jpg cannot be read'):
        assert replacing[1]['img_id'] == 9


def test_missing_files_are_named(coco, tmp_path):
    arguments = coco()
    with pytest.raises(FileNotFoundError, match=r'annotation file .*none\.json'):
        CocoObjects(**{**arguments, 'ann_file': 'none.json'})
    with pytest.raises(FileNotFoundError, match=r'elsewhere/b\.jpg.*data_prefix'):
        CocoObjects(**{**arguments, 'data_prefix': 'elsewhere'})
    dataset = CocoObjects(pipeline=LOAD, **arguments)
    (tmp_path / 'photos/a.jpg').unlink()
    with pytest.raises(ImageDecodeError, match=r'a\.jpg: No such file'):
        dataset[1]


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(categories=None), "no list 'categories'"),
        (dict(images=[dict(id=4, file_name='a.jpg', width=5)]), "lacks the key 'height'"),
        (dict(annotations=[dict(id=1, image_id=4, category_id=3)]), "lacks the key 'bbox'"),
        (dict(annotations=[annotation(1, 5, 3, [0, 0, 9, 9])]), 'unknown image_id, the first 5'),
        (dict(annotations=[annotation(1, 4, 99, [0, 0, 9, 9])]), 'unknown category_id, the first'),
        (dict(annotations=[]), 'no image with an object'),
        (dict(images=[]), 'lists nothing that image_id could refer to'),
    ],
)
def test_incomplete_files_are_named(coco, changes, message):
    with pytest.raises(ValueError, match=message):
        CocoObjects(**coco(**changes))


def test_files_that_are_no_coco_files_are_named(tmp_path):
    file = tmp_path / 'ann.json'
    file.write_text('{"images": [')
    with pytest.raises(ValueError, match='not valid json'):
        CocoObjects(ann_file=file)
    file.write_text('[]')
    with pytest.raises(ValueError, match='no COCO file'):
        CocoObjects(ann_file=file)

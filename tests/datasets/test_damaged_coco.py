"""Faults of annotation files, injected one by one: used rightly, or one sentence, or left out.

Every complaint names the file, the entry where there is one, and says what to do.
"""

import json

import numpy as np
import pytest
from PIL import Image

from mmdssl.datasets import CocoObjects, CocoSemantic
from mmdssl.datasets.transforms import LoadImage
from tests.datasets.image_files import picture, save, turned_exif


def content():
    """Three images, five objects, one crowd."""
    outline = [[1, 2, 11, 2, 11, 22, 1, 22]]
    boxes = {1: [1, 2, 10, 20], 2: [5, 5, 8, 9], 3: [30, 20, 30, 20], 4: [2, 2, 9, 9]}
    annotations = [
        dict(id=n, image_id=n % 3, category_id=1 + n % 2, bbox=box, iscrowd=0, area=box[2] * box[3])
        for n, box in boxes.items()
    ]
    for entry in annotations:
        entry['segmentation'] = [list(outline[0])]
    annotations.append(dict(annotations[0], id=5, iscrowd=1, segmentation=None))
    return dict(
        images=[dict(id=n, file_name=f'{n}.jpg', height=48, width=64) for n in range(3)],
        annotations=annotations,
        categories=[dict(id=1, name='cat'), dict(id=2, name='dog')],
    )


@pytest.fixture
def folder(tmp_path):
    for n in range(3):
        (tmp_path / f'{n}.jpg').write_bytes(save(picture(), 'JPEG'))
    return tmp_path


def read(folder, data, **settings):
    """The data set with all masks decoded."""
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    (folder / 'ann.json').write_bytes(text)
    dataset = CocoObjects(ann_file='ann.json', data_root=folder, keep_empty=True, **settings)
    for index in range(len(dataset)):
        masks = dataset[index]['gt_masks']
        [masks[n] for n, outline in enumerate(masks.outlines) if outline is not None]
    return dataset


def setter(key, place, **values):
    return lambda d: d[key][place].update(values)


def drop(key, place, name):
    return lambda d: d[key][place].pop(name)


def replace(key, place, value):
    return lambda d: d[key].__setitem__(place, value)


ANNS, IMGS, CATS = 'annotations', 'images', 'categories'
DEEP = json.loads('[' * 500 + ']' * 500)
# what is done to the file -> part of the sentence; the entry must be named in all of them
ENTRIES = {
    'annotation none': (replace(ANNS, 3, None), r'annotations\[3\] of .* no dict'),
    'annotation list': (replace(ANNS, 3, [1]), r'annotations\[3\] of .* no dict'),
    'image text': (replace(IMGS, 1, 'a.jpg'), r'images\[1\] of .* no dict'),
    'category number': (replace(CATS, 1, 7), r'categories\[1\] of .* no dict'),
    'no bbox': (drop(ANNS, 2, 'bbox'), r"annotations\[2\] \(id 3\) .* lacks the key 'bbox'"),
    'no image_id': (drop(ANNS, 2, 'image_id'), r"annotations\[2\] .* lacks the key 'image_id'"),
    'no category_id': (drop(ANNS, 2, 'category_id'), r'annotations\[2\] .* lacks the key'),
    'no height': (drop(IMGS, 2, 'height'), r"images\[2\] \(id 2\) .* lacks the key 'height'"),
    'no file name': (drop(IMGS, 2, 'file_name'), r"images\[2\] .* lacks the key 'file_name'"),
    'no image id': (drop(IMGS, 2, 'id'), r"images\[2\] of .* lacks the key 'id'"),
    'no name': (drop(CATS, 0, 'name'), r"categories\[0\] .* lacks the key 'name'"),
    'box empty': (setter(ANNS, 3, bbox=[]), r'annotations\[3\] \(id 4\) .*bbox=\[\]'),
    'box of five': (setter(ANNS, 3, bbox=[1, 2, 3, 4, 0.5]), r'annotations\[3\] .*four numbers'),
    'box none': (setter(ANNS, 3, bbox=None), r'annotations\[3\] .*bbox=None'),
    'box text': (setter(ANNS, 3, bbox='1 2 3 4'), r'annotations\[3\] .*four numbers'),
    'box of words': (setter(ANNS, 3, bbox=[1, 2, 'x', 4]), r'annotations\[3\] .*four numbers'),
    'box dict': (setter(ANNS, 3, bbox=dict(x=1)), r'annotations\[3\] .*four numbers'),
    'box nested': (setter(ANNS, 3, bbox=[[1, 2], [3, 4]]), r'annotations\[3\] .*four numbers'),
    'box huge int': (setter(ANNS, 3, bbox=[0, 0, 10**400, 3]), r'annotations\[3\] .*four numbers'),
    'box deep': (setter(ANNS, 3, bbox=DEEP), r'annotations\[3\] .*four numbers'),
    'height none': (setter(IMGS, 1, height=None), r'images\[1\] \(id 1\) .*height=None'),
    'height 0': (setter(IMGS, 1, height=0), r'images\[1\] .*height=0.*1 of 3 images'),
    'height negative': (setter(IMGS, 1, height=-4), r'images\[1\] .*height=-4'),
    'height half': (setter(IMGS, 1, height=4.5), r'images\[1\] .*height=4\.5'),
    'height true': (setter(IMGS, 1, height=True), r'images\[1\] .*height=True'),
    'width list': (setter(IMGS, 1, width=[64]), r'images\[1\] .*width=\[64\]'),
    'size huge': (setter(IMGS, 1, height=10**9, width=10**9), r'images\[1\] .*MMDSSL_MAX_PIXELS'),
    'size endless': (setter(IMGS, 1, height=10**5000), r'images\[1\] .*thousands of digits'),
    'file number': (setter(IMGS, 1, file_name=12345), r'images\[1\] .*file_name=12345'),
    'file empty': (setter(IMGS, 1, file_name=''), r"images\[1\] .*file_name=''"),
    'file zero byte': (setter(IMGS, 1, file_name='a\0b'), r'images\[1\] .*file_name='),
    'file surrogate': (setter(IMGS, 1, file_name='a\ud800'), r'images\[1\] .*file_name='),
    'category name none': (setter(CATS, 1, name=None), r'categories\[1\] .*name=None'),
    'category id text': (setter(CATS, 0, id='1'), r"categories\[0\] .*id='1'.*all be"),
    'image id text': (setter(IMGS, 1, id='1'), r"images\[1\] .*id='1'.*all be"),
    'image id half': (setter(IMGS, 1, id=1.5), r'images\[1\] .*id=1\.5'),
    'image id none': (setter(IMGS, 1, id=None), r'images\[1\] .*id=None'),
    'image id list': (setter(IMGS, 1, id=[1]), r'images\[1\] .*id=\[1\]'),
    'image id true': (setter(IMGS, 1, id=True), r'images\[1\] .*id=True'),
    'image id long': (setter(IMGS, 1, id=2**70), r'images\[1\] .*below 2\^63'),
    'reference text': (setter(ANNS, 1, image_id='2'), r"'2' in annotations\[1\].*write both alike"),
    'reference unknown': (
        setter(ANNS, 1, image_id=77),
        r'unknown image_id, the first 77 in .*\[1\]',
    ),
    'reference list': (setter(ANNS, 1, image_id=[2]), r'unknown image_id.*annotations\[1\]'),
    'reference true': (setter(ANNS, 1, image_id=True), r'unknown image_id.*annotations\[1\]'),
    'category unknown': (setter(ANNS, 1, category_id=9), r'unknown category_id, the first 9'),
    'crowd word': (setter(ANNS, 1, iscrowd='maybe'), r"annotations\[1\] .*iscrowd='maybe'"),
    'crowd two': (setter(ANNS, 1, iscrowd=2), r'annotations\[1\] .*iscrowd=2'),
    'crowd list': (setter(ANNS, 1, iscrowd=[]), r'annotations\[1\] .*iscrowd=\[\]'),
    'outline text': (
        setter(ANNS, 1, segmentation='x'),
        r'annotations\[1\] .*segmentation of type str',
    ),
    'outline of words': (setter(ANNS, 1, segmentation=[['a'] * 6]), r'annotations\[1\] .*polygon'),
    'outline odd': (setter(ANNS, 1, segmentation=[[1, 2, 3, 4, 5, 6, 7]]), r'\[1\] .*of 7 numbers'),
    'outline nan': (
        setter(ANNS, 1, segmentation=[[1, 2, float('nan'), 4, 5, 6]]),
        r'\[1\] .*finite',
    ),
    'outline inf': (setter(ANNS, 1, segmentation=[[1, 2, 1e999, 4, 5, 6]]), r'\[1\] .*finite'),
    'outline huge int': (
        setter(ANNS, 1, segmentation=[[10**400] * 6]),
        r'annotations\[1\] .*polygon',
    ),
    'outline none in it': (
        setter(ANNS, 1, segmentation=[[1, 2, None, 4, 5, 6]]),
        r'\[1\] .*finite',
    ),
    'code of other size': (
        setter(ANNS, 1, segmentation=dict(size=[256, 256], counts=[65536])),
        r'annotations\[1\] .*256 x 256 .*48 x 64',
    ),
    'code without size': (
        setter(ANNS, 1, segmentation=dict(counts=[3072])),
        r'\[1\] .*of size None',
    ),
    'code too long': (
        setter(ANNS, 1, segmentation=dict(size=[48, 64], counts=[0, 10**9])),
        r'annotations\[1\] .*covers 1000000000 pixels',
    ),
    'code negative': (
        setter(ANNS, 1, segmentation=dict(size=[48, 64], counts=[3073, -1])),
        r'annotations\[1\] .*make it anew',
    ),
    'code of junk': (
        setter(ANNS, 1, segmentation=dict(size=[48, 64], counts='zzzzzzzzz')),
        r'annotations\[1\] .*cannot be read',
    ),
    'code cut': (
        setter(ANNS, 1, segmentation=dict(size=[48, 64], counts='PPY')),
        r'annotations\[1\] .*make it anew',
    ),
    'code without counts': (
        setter(ANNS, 1, segmentation=dict(size=[48, 64])),
        r'\[1\] .*make it anew',
    ),
}
WHOLE = {
    'ids twice': (
        setter(IMGS, 1, id=0),
        r'images\[0\] and images\[1\]: objects would land on other',
    ),
    'list twice': (
        lambda d: d[IMGS].extend([dict(e) for e in d[IMGS]]),
        r'the list were in the file twi',
    ),
    'category ids twice': (setter(CATS, 1, id=1), r'categories\[0\] and categories\[1\]: classes'),
    'category names twice': (setter(CATS, 1, name='cat'), r"one name .*'cat'"),
    'objects twice': (
        lambda d: d[ANNS].extend([dict(e) for e in d[ANNS]]),
        r'5 annotations .* twice',
    ),
    'images none': (lambda d: d.update(images=None), "no list 'images'"),
    'images a dict': (lambda d: d.update(images={}), "no list 'images'"),
    'no images': (lambda d: d.update(images=[]), 'image_id could refer to'),
    'no categories': (lambda d: d.update(categories=[]), 'category_id could refer to'),
    'photo missing': (setter(IMGS, 1, file_name='gone.jpg'), r'1 of 3 images .*gone\.jpg'),
    'all missing': (
        lambda d: [e.update(file_name='x/' + e['file_name']) for e in d[IMGS]],
        r'3 of 3 .*data_prefix',
    ),
    'windows': (setter(IMGS, 1, file_name='x\\1.jpg'), r'write folders with /'),
}
TEXTS = {
    'empty': (b'', 'it is empty'),
    'blank': (b' \n', 'it is empty'),
    'cut': (json.dumps(content()).encode()[:-40], 'not valid json'),
    'web page': (b'<!DOCTYPE html><html>Log in', 'a web page'),
    'pointer': (b'version https://git-lfs.github.com/spec/v1\noid', 'git lfs pull'),
    'zip': (b'PK\x03\x04' + bytes(50), 'zip archive'),
    'gzip': (b'\x1f\x8b' + bytes(50), 'gzip'),
    'binary': (b'\x80\x81\x82\x83' * 20, 'save it as UTF-8'),
    'latin-1': (json.dumps(content()).encode().replace(b'cat', b'c\xe4t'), 'save it as UTF-8'),
    'deep': (b'[' * 200_000, 'lists within lists'),
    'list': (b'[1]', 'no COCO file'),
    'text': (b'"x"', 'no COCO file'),
    'endless number': (b'{"images": ' + b'9' * 5000 + b'}', 'not usable json'),
    'lines': (b'{"id": 1}\n{"id": 2}\n', 'not valid json'),
}


def refuse(folder, data, message, entry):
    with pytest.raises((ValueError, FileNotFoundError), match=message) as caught:
        read(folder, data)
    text = str(caught.value)
    assert 'ann.json' in text
    assert '\n' not in text
    assert len(text) < 600
    text.encode('utf-8')
    if entry:
        assert '[' in text


@pytest.mark.parametrize('fault', ENTRIES)
def test_a_malformed_entry_is_named_with_its_file(folder, fault):
    data = content()
    damage, message = ENTRIES[fault]
    damage(data)
    if fault == 'size endless':  # Python writes no such number itself
        data[IMGS][1]['height'] = 'ENDLESS'
        text = json.dumps(data).replace('"ENDLESS"', '9' * 5000).encode()
        refuse(folder, text, 'not usable json', entry=False)
        return
    refuse(folder, data, message, entry=True)


@pytest.mark.parametrize('fault', WHOLE)
def test_lists_that_do_not_fit_together_are_named(folder, fault):
    data = content()
    damage, message = WHOLE[fault]
    damage(data)
    refuse(folder, data, message, entry=False)


@pytest.mark.parametrize('fault', TEXTS)
def test_a_file_that_is_something_else_is_told(folder, fault):
    data, message = TEXTS[fault]
    refuse(folder, data, message, entry=False)


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'utf-16-le', 'utf-32', 'utf-8'])
def test_encodings_that_json_knows_are_read(folder, encoding):
    data = content()
    data[CATS][0]['name'] = 'Kätzchen'
    text = json.dumps(data, ensure_ascii=False).encode(encoding)
    assert read(folder, text).classes == ('Kätzchen', 'dog')


def same(folder, changed):
    """The same boxes, labels and masks as the unchanged file."""
    good, other = read(folder, content()), read(folder, changed)
    for index in range(3):
        a, b = good[index], other[index]
        np.testing.assert_array_equal(a['gt_bboxes'], b['gt_bboxes'])
        np.testing.assert_array_equal(a['gt_labels'], b['gt_labels'])
        np.testing.assert_array_equal(a['gt_masks'].decode(), b['gt_masks'].decode())


POLYGON = [1, 2, 11, 2, 11, 22, 1, 22]
PAIRS = [[1, 2], [11, 2], [11, 22], [1, 22]]


@pytest.mark.parametrize('value', [POLYGON, PAIRS, [PAIRS], [POLYGON, [3, 3]], [POLYGON, []]])
def test_unambiguous_outlines_are_accepted(folder, value):
    data = content()
    data[ANNS][1]['segmentation'] = value
    same(folder, data)


def test_flags_ids_and_sizes_of_other_types_mean_what_they_say(folder):
    data = content()
    for entry, flag in zip(data[ANNS], ['0', False, 0.0, None, '1'], strict=True):
        entry['iscrowd'] = flag
        entry['image_id'] = float(entry['image_id'])
    for entry in data[IMGS]:
        entry.update(height='48', width=64.0)
    same(folder, data)


@pytest.mark.parametrize(
    'rename', [lambda n: f'img_{n}' * 9, lambda n: 2**62 + n, lambda n: -n - 1]
)
def test_ids_of_any_kind_are_never_cut(folder, rename):
    data = content()
    for entry in data[IMGS]:
        entry['id'] = rename(entry['id'])
    for entry in data[ANNS]:
        entry['image_id'] = rename(entry['image_id'])
    same(folder, data)
    assert [read(folder, data)[n]['img_id'] for n in range(3)] == [rename(n) for n in range(3)]
    data[ANNS][0]['image_id'] = f'{rename(1)}0'
    refuse(folder, data, 'unknown image_id', entry=True)


@pytest.mark.parametrize('far', [1e3, 1e6, 1e9, 1e15, 1e300, 1.7e308])
def test_coordinates_far_away_are_clipped_before_c_code(folder, far):
    for points, inside in (
        ([10, 5, far, 5, far, 20, 10, 20], (slice(5, 20), slice(10, 64))),
        ([-far, -far, far, -far, far, far, -far, far], (slice(0, 48), slice(0, 64))),
        ([far, far, far + 5, far, far, far * 0.9], (slice(0, 0), slice(0, 0))),
        ([-far, 10, 20, 10, 20, far, -far, far], (slice(10, 48), slice(0, 20))),
    ):
        data = content()
        data[ANNS][0]['segmentation'] = [points]
        expected = np.zeros((48, 64), bool)
        expected[inside] = True
        np.testing.assert_array_equal(read(folder, data)[1]['gt_masks'][0], expected)


def test_a_clipped_slope_keeps_its_direction(folder):
    # The diagonal of a huge triangle passes through (0, 0) and (40, 40).
    data = content()
    data[ANNS][0]['segmentation'] = [[-1e7, -1e7, 1e7, 1e7, -1e7, 1e7]]
    mask = read(folder, data)[1]['gt_masks'][0]
    rows, columns = np.mgrid[:48, :64]
    wrong = mask != (rows >= columns)
    assert not wrong[np.abs(rows - columns) > 1].any()


def test_boxes_that_cannot_be_used_are_counted_and_the_first_named(folder, monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mmdssl.datasets.coco_checks.print_log', lambda text, *_: lines.append(text)
    )
    data = content()
    data[ANNS][0]['bbox'] = [float('nan'), 2, 3, 4]
    data[ANNS][1]['bbox'] = [5, 5, -3, 9]
    data[ANNS][2]['bbox'] = [100, 100, 9, 9]
    (folder / 'ann.json').write_text(json.dumps(data))
    assert len(CocoObjects(ann_file='ann.json', data_root=folder)) == 1
    (line,) = lines
    for part in (
        '1 crowds',
        '1 boxes narrower or lower than 1 px',
        '2 boxes without width or height (annotations[0] (id 1), annotations[1] (id 2))',
        '2 images without an object',
    ):
        assert part in line
    lines.clear()
    data = content()
    data[ANNS].pop()
    (folder / 'ann.json').write_text(json.dumps(data))
    CocoObjects(ann_file='ann.json', data_root=folder)
    assert not lines


def test_boxes_of_the_turned_picture_need_its_size(folder):
    """A phone's photo: stored lying, 64 wide; shown standing, 48 wide and 64 high."""
    (folder / '1.jpg').write_bytes(save(picture(), 'JPEG', exif=turned_exif()))
    data = content()
    data[ANNS][0]['bbox'] = [10, 40, 10, 24]  # ends at y = 64 of 48
    refuse(folder, data, 'exchange height and width', entry=True)
    data[IMGS][1].update(height=64, width=48)
    sample = read(folder, data, pipeline=[LoadImage()])[1]
    np.testing.assert_array_equal(sample['gt_bboxes'][0], [10, 40, 20, 64])
    assert sample['img'].shape == (64, 48, 3)
    # An upright photo with a box that sticks out is clipped as ever.
    (folder / '1.jpg').write_bytes(save(picture(), 'JPEG'))
    data[IMGS][1].update(height=48, width=64)
    np.testing.assert_array_equal(read(folder, data)[1]['gt_bboxes'][0], [10, 40, 20, 48])


def test_more_classes_than_a_map_of_bytes_holds_are_refused(folder):
    data = content()
    data[CATS] = [dict(id=n, name=f'class {n}') for n in range(255)]
    (folder / 'ann.json').write_text(json.dumps(data))
    with pytest.raises(ValueError, match='255 classes'):
        CocoSemantic(ann_file='ann.json', data_root=folder)
    data[CATS].pop()
    (folder / 'ann.json').write_text(json.dumps(data))
    assert len(CocoSemantic(ann_file='ann.json', data_root=folder)) == 3
    Image.open(folder / '1.jpg').close()

"""Folders of label maps: what is paired, which values become which labels, what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmdssl.datasets.semantic_folder import supercategories
from mmdssl.registry import DATASETS
from tests.datasets.semantic_files import folder, write_semantic

LOAD = [dict(type='LoadImage'), dict(type='LoadSemanticMap')]


def test_images_and_maps_of_one_name_are_paired(tmp_path: Path):
    write_semantic(tmp_path, 3)
    dataset = DATASETS.build(folder(tmp_path, pipeline=LOAD))
    assert len(dataset) == 3
    for index in range(3):
        results = dataset[index]
        assert Path(results['img_path']).stem == Path(results['seg_map_path']).stem
        truth = np.array(Image.open(tmp_path / 'ann' / f'{index:03d}.png'))
        np.testing.assert_array_equal(results['gt_seg_map'], truth)
    assert results['seg_fields'] == ['gt_seg_map']


def test_a_list_chooses_and_orders(tmp_path: Path):
    write_semantic(tmp_path, 4)
    (tmp_path / 'val.txt').write_text('003\n001\n\n')
    dataset = DATASETS.build(folder(tmp_path, ann_file='val.txt'))
    assert [Path(dataset[i]['img_path']).stem for i in range(len(dataset))] == ['003', '001']


def test_sub_folders_are_read_where_asked(tmp_path: Path):
    write_semantic(tmp_path, 1)
    for town in ('aachen', 'ulm'):
        write_semantic(tmp_path / town, 2)
        for side in ('img', 'ann'):
            (tmp_path / town / side).rename(tmp_path / side / town)
    assert len(DATASETS.build(folder(tmp_path))) == 1
    dataset = DATASETS.build(folder(tmp_path, recursive=True, pipeline=LOAD))
    found = [Path(dataset[index]['seg_map_path']) for index in range(len(dataset))]
    names = ['000.png', 'aachen/000.png', 'aachen/001.png', 'ulm/000.png', 'ulm/001.png']
    assert [path.relative_to(tmp_path / 'ann').as_posix() for path in found] == names
    (tmp_path / 'ann/ulm/001.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'1 of 5 images have no label map .*ulm/001\.png'):
        DATASETS.build(folder(tmp_path, recursive=True))


def test_a_share_is_the_same_images_every_time(tmp_path: Path):
    write_semantic(tmp_path, 20)
    chosen = [
        [dataset[i]['img_path'] for i in range(len(dataset))]
        for dataset in (
            DATASETS.build(folder(tmp_path, share=0.25, seed=seed)) for seed in (0, 0, 1)
        )
    ]
    assert len(chosen[0]) == 5
    assert chosen[0] == chosen[1] != chosen[2]


def test_zero_becomes_ignored_and_the_rest_one_less(tmp_path: Path):
    write_semantic(tmp_path, 1)
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16).repeat(4, 0).repeat(4, 1)).save(
        tmp_path / 'ann' / '000.png'
    )
    changes = dict(classes=255, reduce_zero_label=True, pipeline=LOAD)
    dataset = DATASETS.build(folder(tmp_path, **changes))
    got = dataset[0]['gt_seg_map'][::4, ::4].ravel()
    np.testing.assert_array_equal(got, [255, *range(254), 255])


def test_super_categories_are_labels_and_things_and_other_are_ignored(tmp_path: Path):
    names = {92: 'textile', 95: 'building', 97: 'plant', 94: 'plant', 183: 'other'}
    content = dict(categories=[dict(id=i, supercategory=n) for i, n in names.items()])
    (tmp_path / 'stuff.json').write_text(json.dumps(content))
    classes, table = supercategories(tmp_path / 'stuff.json')
    assert classes == ('building', 'plant', 'textile')
    assert {value: label for value, label in table.items() if label != 255} == {
        92: 2,
        94: 1,
        95: 0,
        97: 1,
    }
    write_semantic(tmp_path, 1)
    labels = np.array([[0, 92], [94, 183]], np.uint8).repeat(32, 0).repeat(32, 1)
    Image.fromarray(labels).save(tmp_path / 'ann' / '000.png')
    config = folder(tmp_path, classes=classes, category_file='stuff.json', pipeline=LOAD)
    got = DATASETS.build(config)[0]['gt_seg_map']
    np.testing.assert_array_equal(got[::32, ::32], [[255, 2], [1, 255]])
    with pytest.raises(ValueError, match='names the classes background, red'):
        DATASETS.build(folder(tmp_path, category_file='stuff.json'))


def test_missing_maps_are_counted_and_named_before_the_run(tmp_path: Path):
    write_semantic(tmp_path, 4)
    for name in ('001', '002'):
        (tmp_path / 'ann' / f'{name}.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'2 of 4 images have no label map in .*001\.png'):
        DATASETS.build(folder(tmp_path))


@pytest.mark.parametrize(
    ('changes', 'error', 'message'),
    [
        (
            dict(data_prefix=dict(img_path='img', seg_map_path='labels')),
            FileNotFoundError,
            'no folder .*labels of label maps',
        ),
        (dict(ann_file='no.txt'), FileNotFoundError, 'no list of images'),
        (dict(img_suffix='.bmp'), FileNotFoundError, r'no image named \*.bmp'),
        (dict(share=0), ValueError, 'share=0 must be above 0'),
        (dict(category_file='no.json'), FileNotFoundError, 'stuff_annotations_trainval2017'),
    ],
)
def test_unusable_folders_are_named(tmp_path: Path, changes, error, message):
    write_semantic(tmp_path, 1)
    with pytest.raises(error, match=message):
        DATASETS.build(folder(tmp_path, **changes))


def test_colours_and_foreign_maps_are_refused(tmp_path: Path):
    write_semantic(tmp_path, 1)
    dataset = DATASETS.build(folder(tmp_path, pipeline=LOAD))
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / 'ann' / '000.png')
    with pytest.raises(ValueError, match='holds colours'):
        dataset[0]
    Image.fromarray(np.zeros((32, 64), np.uint8)).save(tmp_path / 'ann' / '000.png')
    with pytest.raises(ValueError, match='label map of another image'):
        dataset[0]


def store_map(root, labels, name='ann/000.png', **options):
    Image.fromarray(labels).save(root / name, **options)


WIDE = np.arange(64 * 64).reshape(64, 64)


@pytest.mark.parametrize(
    ('labels', 'message'),
    [
        ((WIDE % 19 + 250).astype(np.uint16), 'labels 250 to 268'),
        ((WIDE % 4 - 1).astype(np.int32), 'labels -1 to 2'),
        ((WIDE % 4).astype(np.float32), 'float32 numbers'),
        ((WIDE % 6).astype(np.uint8), 'gives label 5, but the data set has 4 classes'),
        (np.zeros((64, 64, 3), np.uint8), 'holds colours'),
        (np.zeros((32, 64), np.uint8), 'label map of another image'),
    ],
)
def test_maps_that_a_byte_or_the_classes_do_not_hold_are_refused(tmp_path, labels, message):
    write_semantic(tmp_path, 1)
    store_map(tmp_path, labels, format='TIFF')  # the format that holds all of these
    with pytest.raises(ValueError, match=message) as caught:
        DATASETS.build(folder(tmp_path, pipeline=LOAD))[0]
    assert '000.png' in str(caught.value)


def test_sixteen_bits_that_fit_are_kept_and_losses_refused(tmp_path):
    write_semantic(tmp_path, 2)
    store_map(tmp_path, (WIDE % 4).astype(np.uint16))
    dataset = DATASETS.build(folder(tmp_path, pipeline=LOAD))
    np.testing.assert_array_equal(dataset[0]['gt_seg_map'], WIDE % 4)
    store_map(tmp_path, (WIDE % 4).astype(np.uint8), format='JPEG')
    with pytest.raises(ValueError, match='store label maps as PNG'):
        dataset[0]


def test_more_classes_than_bytes_have_are_refused(tmp_path):
    write_semantic(tmp_path, 1)
    with pytest.raises(ValueError, match='256 classes'):
        DATASETS.build(folder(tmp_path, classes=256))
    DATASETS.build(folder(tmp_path, classes=255))


def test_a_map_of_the_unturned_picture_gets_the_right_advice(tmp_path):
    write_semantic(tmp_path, 1)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (64, 32)).save(tmp_path / 'img/000.jpg', exif=exif)
    store_map(tmp_path, np.zeros((32, 64), np.uint8))
    with pytest.raises(ValueError, match=r'LoadImage\(exif=False\)'):
        DATASETS.build(folder(tmp_path, pipeline=LOAD))[0]
    upright = [dict(type='LoadImage', exif=False), *LOAD[1:]]
    sample = DATASETS.build(folder(tmp_path, pipeline=upright))[0]
    assert sample['gt_seg_map'].shape == sample['img'].shape[:2] == (32, 64)


def test_capitals_count_hidden_files_do_not_and_the_rest_is_told(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mmdssl.datasets.semantic_folder.print_log', lambda text, *_: lines.append(text)
    )
    write_semantic(tmp_path, 3)
    images = tmp_path / 'img'
    (images / '001.jpg').rename(images / '001.JPG')
    for name in ('._000.jpg', '.DS_Store', 'notes.txt', '@eaDir'):
        (images / name).write_text('x')
    (images / 'x.jpg').symlink_to('x.jpg')
    (images / '003.jpeg').write_text('x')
    dataset = DATASETS.build(folder(tmp_path, pipeline=LOAD))
    assert [Path(dataset[i]['img_path']).name for i in range(3)] == [
        '000.jpg',
        '001.JPG',
        '002.jpg',
    ]
    (line,) = lines
    assert '1 pictures ending in .jpeg (003.jpeg)' in line
    assert 'x.jpg' in line
    assert 'img_suffix' in line
    (images / '000.JPG').write_bytes((images / '000.jpg').read_bytes())
    with pytest.raises(ValueError, match='share a label map'):
        DATASETS.build(folder(tmp_path))


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16'])
def test_lists_of_other_encodings_are_read(tmp_path, encoding):
    write_semantic(tmp_path, 3)
    (tmp_path / 'list.txt').write_bytes('002\r\n000\r\n'.encode(encoding))
    dataset = DATASETS.build(folder(tmp_path, ann_file='list.txt'))
    assert [Path(dataset[i]['img_path']).stem for i in range(2)] == ['002', '000']
    (tmp_path / 'list.txt').write_bytes(b'caf\xe9\n')
    with pytest.raises(ValueError, match=r'list\.txt .*save it as UTF-8'):
        DATASETS.build(folder(tmp_path, ann_file='list.txt'))

"""Photos, annotations and proposals that do not fit are all named before the first step."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from mmdssl.datasets import CocoObjects, ImageFolder
from mmdssl.datasets.proposals.fingerprint import fingerprint
from mmdssl.datasets.proposals.store import Entry, write_store
from mmdssl.datasets.start_checks import check_images
from mmdssl.datasets.tagged_concat import TaggedConcat
from tests.coco_files import part, write_coco
from tests.datasets.image_files import picture, save, turned_exif


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / 'photos'
    folder.mkdir()
    for n in range(4):
        (folder / f'{n}.jpg').write_bytes(save(np.roll(picture(), 7 * n, axis=0), 'JPEG'))
    return folder


def proposals(photos, file, names=None, shape=(48, 64)):
    entries = [
        Entry(p.name.encode(), shape, 3, np.zeros((0, 4), int), print=fingerprint(p))
        for p in sorted(photos.iterdir())
        if names is None or p.name in names
    ]
    write_store(file, entries, parameters={})
    load = [dict(type='LoadImage'), dict(type='LoadProposals', file=str(file))]
    return ImageFolder(data_root=photos, pipeline=load, cache=False)


def test_what_fits_passes(photos, tmp_path):
    check_images(proposals(photos, tmp_path / 'p.npz'))
    check_images(ImageFolder(data_root=photos, cache=False))
    check_images([1, 2, 3])
    # Also the first photo may be one that the search passed over, being unreadable.
    (photos / '0.jpg').write_bytes(save(picture(), 'JPEG')[:700])
    check_images(proposals(photos, tmp_path / 'p.npz', ('1.jpg', '2.jpg', '3.jpg')))


def test_photos_without_proposals_are_all_counted(photos, tmp_path):
    data = proposals(photos, tmp_path / 'p.npz', ('1.jpg', '3.jpg'))
    with pytest.raises(ValueError, match=r'2 of 4 photos have no proposals.*0\.jpg.*2\.jpg'):
        check_images(data)


def test_sizes_and_contents_that_differ_are_all_counted(photos, tmp_path):
    data = proposals(photos, tmp_path / 'p.npz')
    for n in (1, 2):
        (photos / f'{n}.jpg').write_bytes(save(255 - picture(), 'JPEG'))
    with pytest.raises(ValueError, match=r'2 of 4 photos.*other contents.*1\.jpg.*2\.jpg'):
        check_images(data)
    data = proposals(photos, tmp_path / 'p.npz', shape=(64, 48))
    with pytest.raises(ValueError, match=r'4 of 4 photos.*another height x width'):
        check_images(data)


def test_stated_sizes_are_compared_in_every_part_of_an_evaluation(tmp_path):
    write_coco(tmp_path, 'train', 4, seed=0)
    write_coco(tmp_path, 'val', 4, seed=1)
    settings = dict(data_root=str(tmp_path), pipeline=[dict(type='LoadImage')])
    parts = dict(bank=part('train'), query=part('val'))
    check_images(TaggedConcat(datasets=parts, **settings))
    for name in ('001.png', '003.png'):
        with Image.open(tmp_path / 'val' / name) as image:
            image.resize((33, 44)).save(tmp_path / 'val' / name)
    with pytest.raises(ValueError, match=r'2 of 4 photos.*instances_val.*001\.png is 44 x 33'):
        check_images(TaggedConcat(datasets=parts, **settings))


def test_advice_for_turned_photos_tells_both_cases(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(save(picture(), 'JPEG', exif=turned_exif()))
    annotation = dict(id=1, image_id=1, category_id=1, bbox=[1, 2, 30, 30])
    data = dict(
        images=[dict(id=1, file_name='a.jpg', height=48, width=64)],
        annotations=[annotation],
        categories=[dict(id=1, name='x')],
    )
    file = tmp_path / 'a.json'
    file.write_text(json.dumps(data))
    settings = dict(ann_file=file, data_root=tmp_path)
    data_set = CocoObjects(pipeline=[dict(type='LoadImage')], **settings)
    for look in (lambda: check_images(data_set), lambda: data_set[0]):
        with pytest.raises(ValueError, match=r'exchange height and width.*if on the stored one'):
            look()
    check_images(CocoObjects(pipeline=[dict(type='LoadImage', exif=False)], **settings))
    data['images'][0].update(height=64, width=48)
    file.write_text(json.dumps(data))
    check_images(CocoObjects(pipeline=[dict(type='LoadImage')], **settings))
    with pytest.raises(ValueError, match=r'LoadImage\(exif=True\)'):
        check_images(CocoObjects(pipeline=[dict(type='LoadImage', exif=False)], **settings))


def test_links_and_copies_of_folders_do_not_matter(photos, tmp_path):
    proposals(photos, tmp_path / 'p.npz')
    shutil.copytree(photos, tmp_path / 'elsewhere' / 'photos')
    load = [dict(type='LoadImage'), dict(type='LoadProposals', file=str(tmp_path / 'p.npz'))]
    check_images(ImageFolder(data_root=tmp_path / 'elsewhere', pipeline=load, cache=False))

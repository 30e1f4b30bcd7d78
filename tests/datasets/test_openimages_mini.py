"""OpenImage-MINI by its rule, recomputed here with plain dictionaries."""

import random
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from mmdssl.datasets.image_folder import ImageFolder
from mmdssl.datasets.openimages_boxes import count_boxes
from mmdssl.datasets.openimages_mini import (
    SHARED_CLASSES,
    coco_class_counts,
    describe,
    link_images,
    match_classes,
    select_images,
)
from tests.datasets.openimages_files import label_of, write_boxes, write_coco_counts

OPEN_IMAGES = ['Person', 'Man', 'Mouse', 'Computer mouse', 'Dog', 'Tree', 'Duck', 'Woman']
COCO = {'person': 60, 'dog': 25, 'mouse': 9, 'toaster': 5}
#: Written down independently of the package's table.
IS = {
    'Person': 'person',
    'Man': 'person',
    'Woman': 'person',
    'Computer mouse': 'mouse',
    'Dog': 'dog',
}


@pytest.fixture
def rows():
    draw = random.Random(4)
    return [
        (f'{draw.randrange(150):016x}', draw.choice([*OPEN_IMAGES, 'Tree', 'Duck']))
        for _ in range(600)
    ]


@pytest.fixture
def counts(tmp_path, rows):
    labels = {label_of(name): index for index, name in enumerate(OPEN_IMAGES)}
    return count_boxes(write_boxes(tmp_path / 'boxes.csv', rows), labels)


def choose(counts, seed=0, limits=COCO):
    shared = match_classes(list(limits), OPEN_IMAGES)
    chosen = select_images(counts, shared, np.array(list(limits.values())), seed=seed)
    return {counts.ids[i].decode() for i in chosen}


def shared_objects(rows):
    """Objects of COCO's classes by image."""
    found = defaultdict(Counter)
    for image, name in rows:
        if name in IS:
            found[image][IS[name]] += 1
    return found


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_choice_keeps_the_rule_and_nothing_can_be_added(counts, rows, seed):
    chosen = choose(counts, seed)
    objects = shared_objects(rows)
    assert 10 < len(chosen) < len(objects)
    assert all(objects[image] for image in chosen)
    total = sum((objects[image] for image in chosen), Counter())
    assert all(total[name] <= limit for name, limit in COCO.items())
    for image in set(objects) - chosen:
        grown = total + objects[image]
        assert any(grown[name] > COCO[name] for name in COCO), image


def test_seed_decides(counts):
    assert choose(counts, 0) == choose(counts, 0)
    assert choose(counts, 0) != choose(counts, 1)


def test_without_tight_limits_every_image_with_a_shared_class_is_chosen(counts, rows):
    assert choose(counts, limits=dict.fromkeys(COCO, 10_000)) == set(shared_objects(rows))


def test_images_without_a_shared_class_are_an_error(tmp_path):
    labels = {label_of(name): index for index, name in enumerate(OPEN_IMAGES)}
    counts = count_boxes(write_boxes(tmp_path / 'b.csv', [('a', 'Tree'), ('b', 'Mouse')]), labels)
    with pytest.raises(ValueError, match='no image has an object of a class that COCO has'):
        choose(counts)


def test_mouse_of_coco_is_not_the_animal():
    shared = match_classes(list(COCO), OPEN_IMAGES)
    names = dict(zip(OPEN_IMAGES, shared.tolist(), strict=True))
    assert {name: list(COCO)[i] for name, i in names.items() if i >= 0} == IS


def test_ambiguous_or_foreign_classes_are_refused():
    with pytest.raises(ValueError, match="'Man' of Open Images belongs to two classes"):
        match_classes(['man', 'person'], OPEN_IMAGES)
    with pytest.raises(ValueError, match='share no class'):
        match_classes(['zebra'], OPEN_IMAGES)


def test_table_gives_no_class_twice():
    names = [name for others in SHARED_CLASSES.values() for name in others]
    assert len(names) == len(set(names))


def test_report_counts_the_choice(counts, rows):
    shared = match_classes(list(COCO), OPEN_IMAGES)
    chosen = select_images(counts, shared, np.array(list(COCO.values())))
    report = describe(counts, chosen, OPEN_IMAGES, shared, COCO)
    ids = {counts.ids[i].decode() for i in chosen}
    boxes = [(image, name) for image, name in rows if image in ids]
    assert report['images'] == len(ids)
    assert report['objects'] == len(boxes)
    assert report['objects_per_image'] == pytest.approx(len(boxes) / len(ids), abs=1e-3)
    assert report['categories'] == len({name for _, name in boxes})
    assert report['categories_per_image'] == pytest.approx(len(set(boxes)) / len(ids), abs=1e-3)
    assert report['coco_classes_not_shared'] == ['toaster']
    person = report['shared_classes']['person']
    assert person['open_images'] == ['Person', 'Man', 'Woman']
    assert person['objects'] == sum(IS.get(name) == 'person' for _, name in boxes)
    assert person['objects_in_coco'] == 60
    assert report['published']['images'] == 146_000


def test_coco_counts_with_and_without_crowds(tmp_path):
    path = write_coco_counts(tmp_path / 'coco.json', COCO, crowds=2)
    assert coco_class_counts(path) == COCO
    without = coco_class_counts(path, groups=False)
    assert without == {name: number - 2 for name, number in COCO.items()}
    path.write_text('[]')
    with pytest.raises(ValueError, match='no COCO annotation file with categories'):
        coco_class_counts(path)
    with pytest.raises(FileNotFoundError, match='no COCO annotation file'):
        coco_class_counts(tmp_path / 'none.json')


def test_links_are_a_folder_for_image_folder(tmp_path):
    images, links = tmp_path / 'images', tmp_path / 'mini'
    for name in ('train_0/aa.jpg', 'train_1/bb.jpg', 'train_1/cc.jpg'):
        path = images / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    assert link_images(['aa', 'cc', 'dd'], images, links) == (2, ['dd'])
    assert link_images(['bb', 'cc'], images, links) == (2, [])
    dataset = ImageFolder(data_root=links, cache=False)
    paths = [dataset.get_data_info(i)['img_path'] for i in range(len(dataset))]
    assert [Path(path).read_text() for path in paths] == ['train_1/bb.jpg', 'train_1/cc.jpg']
    with pytest.raises(FileExistsError, match='which is no link'):
        link_images(['aa'], images, images)

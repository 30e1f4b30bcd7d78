"""Pixels inside the boxes stay, the others are those of another image, always the same one."""

from pathlib import Path

import numpy as np
import pytest

from mmdssl.datasets.coco_objects import CocoObjects
from mmdssl.datasets.pipeline import build_pipeline
from mmdssl.datasets.transforms.disturb_background import DisturbBackground
from mmdssl.datasets.transforms.loading import LoadImage
from mmdssl.datasets.transforms.views import ResizeWithBoxes
from tests.coco_files import write_coco

BEFORE = build_pipeline([dict(type='LoadImage'), dict(type='ResizeWithBoxes', size=(40, 56))])


@pytest.fixture
def dataset(tmp_path: Path) -> CocoObjects:
    write_coco(tmp_path, 'train', 6)
    return CocoObjects(
        data_root=tmp_path, ann_file='annotations/instances_train.json', data_prefix='train'
    )


def prepared(dataset: CocoObjects, index: int) -> dict:
    return BEFORE(dataset.get_data_info(index) | dict(dataset=dataset))


def disturbed(dataset: CocoObjects, index: int, **settings) -> dict:
    return DisturbBackground(**settings).transform(prepared(dataset, index))


def test_boxes_keep_their_pixels_and_the_rest_is_the_other_image(dataset: CocoObjects):
    for index in range(6):
        before, after = prepared(dataset, index), disturbed(dataset, index)
        other = LoadImage().transform(dict(img_path=after['background_path']))
        other = ResizeWithBoxes(size=(40, 56)).transform(other)['img']
        for y in range(40):
            for x in range(56):
                inside = any(
                    x + 1 > x1 and x < x2 and y + 1 > y1 and y < y2
                    for x1, y1, x2, y2 in before['gt_bboxes']
                )
                expected = before['img'] if inside else other
                assert (after['img'][y, x] == expected[y, x]).all()
        np.testing.assert_array_equal(after['gt_bboxes'], before['gt_bboxes'])


def test_the_other_image_is_any_but_the_own(dataset: CocoObjects):
    seen = {index: set() for index in range(6)}
    for index in range(6):
        own = dataset.get_data_info(index)['img_path']
        for seed in range(60):
            seen[index].add(disturbed(dataset, index, seed=seed)['background_path'])
        assert own not in seen[index]
        assert len(seen[index]) == 5


def test_the_choice_is_the_same_in_every_order_and_leaves_global_randomness(dataset: CocoObjects):
    transform = DisturbBackground()
    state = np.random.get_state()[1].copy()
    first = [transform.transform(prepared(dataset, i))['background_path'] for i in range(6)]
    again = [disturbed(dataset, i)['background_path'] for i in reversed(range(6))]
    assert first == again[::-1]
    assert (np.random.get_state()[1] == state).all()


def test_the_given_pixels_are_not_written_to(dataset: CocoObjects):
    before = prepared(dataset, 0)
    pixels = before['img']
    copy = pixels.copy()
    DisturbBackground().transform(before)
    np.testing.assert_array_equal(pixels, copy)


def test_a_file_listed_twice_is_not_its_own_background(dataset: CocoObjects):
    class Twice:
        """Every index but the last shows the file of index 0."""

        def __len__(self) -> int:
            return 4

        def get_data_info(self, index: int) -> dict:
            return dataset.get_data_info(index // 3) | dict(sample_idx=index)

    paths = set()
    for index in range(3):
        results = BEFORE(Twice().get_data_info(index) | dict(dataset=Twice()))
        paths.add(DisturbBackground().transform(results)['background_path'])
    assert paths == {dataset.get_data_info(1)['img_path']}


def test_one_image_is_not_enough(dataset: CocoObjects, tmp_path: Path):
    dataset = CocoObjects(
        data_root=tmp_path,
        ann_file='annotations/instances_train.json',
        data_prefix='train',
        max_images=1,
    )
    with pytest.raises(ValueError, match='at least two images'):
        disturbed(dataset, 0)


def test_without_a_data_set_the_remedy_is_named(dataset: CocoObjects):
    results = prepared(dataset, 0)
    del results['dataset']
    with pytest.raises(ValueError, match='within TaggedConcat'):
        DisturbBackground().transform(results)

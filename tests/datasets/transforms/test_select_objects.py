"""Which objects are evaluated: few, the same every time, and all of them equally likely."""

from pathlib import Path

import numpy as np
import pytest

from mmdssl.datasets.transforms.select_objects import SelectObjects
from mmdssl.engine.config import load_config
from mmdssl.registry import DATASETS
from tests.coco_files import write_coco

BASE = Path(__file__).parents[3] / 'configs' / '_base_' / 'datasets' / 'coco_object_knn.py'


def image(count: int, img_id: int = 7) -> dict:
    sides = 5.0 + np.arange(count, dtype=np.float32) % 4
    boxes = np.stack([np.zeros(count), np.zeros(count), sides, sides], axis=1)
    return dict(
        gt_bboxes=boxes.astype(np.float32), gt_labels=np.arange(count), img_id=img_id, sample_idx=0
    )


def chosen(count: int, img_id: int = 7, **settings) -> list[int]:
    return SelectObjects(**settings).transform(image(count, img_id))['gt_labels'].tolist()


def test_random_choice_depends_on_image_and_seed_only():
    np.random.seed(0)
    first = [chosen(20, i) for i in range(30)]
    np.random.seed(1)
    select = SelectObjects()  # one transform for all, in another order
    again = {i: select.transform(image(20, i))['gt_labels'].tolist() for i in reversed(range(30))}
    assert first == [again[i] for i in range(30)]
    assert len({tuple(c) for c in first}) > 20
    assert first != [chosen(20, i, seed=1) for i in range(30)]


def test_random_choice_is_uniform():
    counts = np.zeros(10)
    for i in range(4000):
        np.add.at(counts, chosen(10, i), 1)
    # 4000 x 3 / 10 each; standard deviation sqrt(4000 * 0.3 * 0.7) = 29
    assert abs(counts - 1200).max() < 4 * 29


def test_order_and_companions_follow_the_choice():
    results = SelectObjects(num=4, seed=3).transform(image(12))
    ids = results['gt_bboxes_ids']
    assert ids.tolist() == sorted(set(ids.tolist()))
    assert results['gt_labels'].tolist() == ids.tolist()
    np.testing.assert_array_equal(results['gt_bboxes'], image(12)['gt_bboxes'][ids])


def test_ids_of_an_earlier_step_are_kept():
    results = image(3) | dict(gt_bboxes_ids=np.array([4, 8, 9]))
    assert SelectObjects(num=2, select='largest').transform(results)['gt_bboxes_ids'].tolist() == [
        8,
        9,
    ]


def test_largest_takes_the_first_of_equal_ones():
    # Sides 5 6 7 8 5 6 7 8: the two of 8, then the first of 7.
    assert chosen(8, select='largest') == [2, 3, 7]


@pytest.mark.parametrize('settings', [dict(select='all'), dict(num=None), dict(num=5)])
def test_all_objects_where_none_is_too_many(settings: dict):
    assert chosen(5, **settings) == [0, 1, 2, 3, 4]


def test_parts_may_have_numbers_of_their_own():
    select = SelectObjects(num_by_tag=dict(query=None, few=1))
    found = {
        tag: len(select.transform(image(5) | dict(tag=tag))['gt_labels'])
        for tag in ('bank', 'query', 'few', 'query_disturbed')
    }
    assert found == dict(bank=3, query=5, few=1, query_disturbed=3)
    with pytest.raises(ValueError, match='found no tag of an image: use it within TaggedConcat'):
        select.transform(image(5))
    every = SelectObjects(select='all', num_by_tag=dict(few=1)).transform(image(5))
    assert len(every['gt_labels']) == 5


def test_the_protocol_limits_the_bank_and_disturbed_images_but_not_the_queries(tmp_path):
    """App. E.3.2: N = 3 an image go into the bank, each object of the evaluation set asks."""
    for seed, split in enumerate(('train2017', 'val2017')):
        write_coco(tmp_path, split, 12, seed=seed, objects=9)
    settings = load_config(BASE).object_knn_dataloader.dataset.to_dict()
    data = DATASETS.build(dict(settings, data_root=str(tmp_path)))
    kept: dict[str, list[tuple[int, int]]] = {}
    for index in range(len(data)):
        sample, info = data[index]['data_samples'], data.get_data_info(index)
        number = len(sample.gt_instances.labels)
        kept.setdefault(info['tag'], []).append((number, len(info['gt_bboxes'])))
    assert set(kept) == {'bank', 'query', 'bank_disturbed', 'query_disturbed'}
    for tag, numbers in kept.items():
        assert max(there for _, there in numbers) > 3
        for number, there in numbers:
            assert number == (there if tag == 'query' else min(there, 3)), tag


def test_images_without_objects_pass():
    assert chosen(0) == []


def test_two_choices_do_not_change_the_global_stream():
    np.random.seed(3)
    expected = np.random.rand()
    np.random.seed(3)
    chosen(20)
    assert np.random.rand() == expected


@pytest.mark.parametrize('settings', [dict(select='first'), dict(num=0)])
def test_bad_settings_are_named(settings: dict):
    name, value = next(iter(settings.items()))
    with pytest.raises(ValueError, match=f'{name}={value!r}'):
        SelectObjects(**settings)

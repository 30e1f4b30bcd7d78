"""Which objects are evaluated: few, the same every time, and all of them equally likely."""

import numpy as np
import pytest

from mmdssl.datasets.transforms.select_objects import SelectObjects


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

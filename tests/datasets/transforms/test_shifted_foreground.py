"""One shift for all boxes of an image, and what of them is pasted."""

import numpy as np
import pytest

from mmdssl.datasets.transforms.shifted_foreground import ShiftedForeground
from tests.datasets.transforms.random_boxes import random_boxes, view


def views(count=200):
    rng = np.random.default_rng(0)
    for _ in range(count):
        boxes = random_boxes(rng, int(rng.integers(1, 5)), height=96, width=128)
        # Smaller ones leave room to move.
        boxes = boxes * np.float32(rng.uniform(0.3, 1))
        yield view(boxes)


def test_the_shift_keeps_all_boxes_inside_and_moves_all_alike():
    np.random.seed(0)
    transform, moved = ShiftedForeground(), 0
    for results in views():
        shift = transform(results)['shift']
        assert shift.shape == (2,)
        assert shift.dtype == np.int64
        boxes = results['boxes'] + np.tile(shift, 2)
        assert boxes.min() >= 0
        assert (boxes[:, 2:] <= (128, 96)).all()
        moved += bool(shift.any())
    assert moved > 150


def test_uncut_the_paste_is_the_moved_union_of_the_boxes():
    np.random.seed(0)
    for results in views(50):
        results = ShiftedForeground(cutout=None)(results)
        wanted = np.zeros((96, 128), bool)
        for x1, y1, x2, y2 in results['boxes']:
            wanted[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))] = True
        x, y = results['shift']
        inverse = np.roll(results['paste'], (-y, -x), axis=(0, 1))
        assert np.array_equal(inverse, wanted)
        assert results['paste'].sum() == wanted.sum()


def test_the_cut_takes_from_the_union_what_prc_takes():
    np.random.seed(0)
    boxes = np.array([[10, 10, 60, 50]], np.float32)
    for _ in range(50):
        results = ShiftedForeground(cutout=dict(ratio=0.4))(view(boxes))
        x, y = results['shift']
        box = results['paste'][10 + y : 50 + y, 10 + x : 60 + x]
        assert results['paste'].sum() == box.sum()
        assert 0.6 <= box.mean() < 0.63


def test_the_shift_is_uniform_over_all_places_that_fit():
    np.random.seed(0)
    boxes = np.array([[50, 20, 126, 94]], np.float32)  # 52 + 1 places across, 22 + 1 down
    shifts = np.array([ShiftedForeground()(view(boxes))['shift'] for _ in range(3000)])
    assert set(shifts[:, 0]) == set(range(-50, 3))
    assert set(shifts[:, 1]) == set(range(-20, 3))
    assert abs(shifts[:, 0].mean() + 24) < 1.2


def test_a_box_as_large_as_the_image_cannot_move():
    np.random.seed(0)
    results = ShiftedForeground(cutout=None)(view(np.array([[0, 0, 128, 96]], np.float32)))
    assert results['shift'].tolist() == [0, 0]
    assert results['paste'].all()


def test_without_boxes_nothing_is_pasted():
    results = ShiftedForeground()(view(np.zeros((0, 4), np.float32)))
    assert not results['paste'].any()
    with pytest.raises(ValueError, match='boxes'):
        ShiftedForeground()(dict(img=np.zeros((8, 8, 3), np.uint8)))

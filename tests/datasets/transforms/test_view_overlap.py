import numpy as np
import pytest
import torch

from mmdssl.datasets.transforms.view_overlap import (
    common_candidates,
    overlap_region,
    pad_rows,
    view_boxes,
)
from tests.golden import Golden, assert_close

GRID = (224, 224)  # of the file's truncated boxes, which it does not state


@pytest.fixture(scope='module')
def cases(shared):
    """All box paths of the file."""
    golden = Golden.load(shared('golden/soco_loss.npz'))
    names = sorted({name.split('/')[0] for name in golden if name.startswith('boxes')})
    assert names
    return [golden.sub(f'{name}/') for name in names]


def windows_of(case):
    """Crops (left, top, width, height) of the whole image and of the given crop."""
    width, height = case['image_wh'].tolist()
    top, left, crop_height, crop_width = case['crop_top_left_height_width'].tolist()
    return [(0, 0, width, height), (left, top, crop_width, crop_height)]


@pytest.mark.golden
def test_candidates_and_overlap_are_those_of_the_reference(cases):
    for case in cases:
        proposals = case['proposals_xyxy_id'].numpy()
        windows = windows_of(case)
        assert overlap_region(windows).tolist() == case['overlap_region_xyxy'].tolist()
        common = common_candidates(proposals[:, :4], windows)
        np.testing.assert_array_equal(proposals[common], case['candidates_in_overlap'].numpy())


@pytest.mark.golden
def test_boxes_of_both_views_are_those_of_the_reference(cases):
    for case in cases:
        check_boxes(case)


def check_boxes(case: Golden) -> None:
    chosen, total = case['chosen'].numpy(), len(case['correspondence'])
    ids = chosen[:, 4].tolist()
    rows_by_view = []
    for view, (window, flip) in enumerate(
        zip(windows_of(case), case['flips_view1_view2'].tolist(), strict=True), start=1
    ):
        places = [ids.index(int(one)) for one in case[f'pad_ids_view{view}']]
        rows = pad_rows(len(ids), total, (np.array(places) + 0.5) / len(ids))
        boxes = chosen[rows, :4]
        want = case[f'view{view}_boxes_id']
        got = view_boxes(boxes, window, size=(1, 1), flip=(flip, False))
        assert_close(torch.from_numpy(got), want[:, :4], what=f'view {view}')
        assert chosen[rows, 4].tolist() == want[:, 4].tolist()
        pixels = view_boxes(boxes, window, size=GRID).astype(int)
        want = case[f'pixel_boxes_view{view}_before_flip'].numpy()
        np.testing.assert_array_equal(pixels, want[:, :4])
        rows_by_view.append(chosen[rows, 4])
    match = rows_by_view[0][:, None] == rows_by_view[1]
    np.testing.assert_array_equal(match, case['correspondence'].numpy())


def test_a_box_counts_only_if_it_has_area_in_every_crop():
    windows = [(0, 0, 100, 100), (50, 20, 50, 60), (40, 30, 40, 70)]
    assert overlap_region(windows).tolist() == [50, 30, 79, 79]
    boxes = np.array(
        [
            [60, 40, 70, 50],  # inside
            [0, 0, 99, 99],  # around
            [10, 10, 51, 31],  # over the corner by a pixel
            [10, 10, 50, 99],  # touches
            [79, 40, 90, 60],  # touches on the other side
            [0, 35, 30, 60],  # in one crop only
            [60, 40, 60, 50],  # a line
        ]
    )
    got = common_candidates(boxes, windows)
    assert got.tolist() == [True] * 3 + [False] * 4
    for left, top, width, height in windows:
        moved = view_boxes(boxes[got], (left, top, width, height), size=(32, 32))
        assert (moved[:, 2:] > moved[:, :2]).all()


def test_crops_apart_have_no_common_box_not_even_one_around_both():
    windows = [(0, 0, 20, 100), (60, 0, 20, 100)]
    around = np.array([[0.0, 0.0, 99.0, 99.0]])
    assert not common_candidates(around, windows).any()


@pytest.mark.parametrize('flip', [(True, False), (False, True), (True, True)])
def test_mirrored_boxes_mirror_back(flip):
    boxes = np.array([[12.0, 3.0, 50.0, 40.0], [0.0, 0.0, 79.0, 59.0]])
    window, size = (10, 5, 60, 50), (96, 128)
    plain = view_boxes(boxes, window, size=size)
    moved = view_boxes(boxes, window, size=size, flip=flip)
    assert (moved[:, 2:] > moved[:, :2]).all()
    x1, y1, x2, y2 = moved.T
    if flip[0]:
        x1, x2 = 128 - x2, 128 - x1
    if flip[1]:
        y1, y2 = 96 - y2, 96 - y1
    np.testing.assert_allclose(np.stack([x1, y1, x2, y2], 1), plain, atol=1e-9)


def test_padding_repeats_every_box_alike():
    draws = np.random.default_rng(0).random((3000, 2))
    rows = np.array([pad_rows(2, 4, one) for one in draws])
    assert (rows[:, :2] == [0, 1]).all()
    assert abs(rows[:, 2:].mean() - 0.5) < 0.03
    assert pad_rows(3, 3, np.empty(0)).tolist() == [0, 1, 2]

"""Points of a part of the image that two views have in common."""

import numpy as np
import pytest

from mmdssl.datasets.transforms.region_points import RegionPoints, region_map

SIZE = (40, 60)
WHOLE = (0.0, 0.0, 60.0, 40.0)


def points(boxes: list, *, flips=((False, False), (False, False)), **kwargs) -> list[np.ndarray]:
    np.random.seed(0)
    views = [dict(crop_box=box, flip=flip) for box, flip in zip(boxes, flips, strict=True)]
    results = dict(img=np.zeros((*SIZE, 3), np.uint8), views=views)
    RegionPoints(**{'map_size': 8, 'num_points': 50, **kwargs}).transform(results)
    return [view['points'] for view in views]


def labels(box, drawn: np.ndarray, flip=(False, False)) -> set[int]:
    found = region_map(box, flip, SIZE, cells=8)
    return set(found[drawn[:, 0], drawn[:, 1]].tolist())


def test_a_whole_image_has_all_parts_in_reading_order():
    found = region_map(WHOLE, (False, False), SIZE, cells=8)
    assert found[::2, ::2].tolist() == [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
        [9, 10, 11, 12],
        [13, 14, 15, 16],
    ]
    mirrored = region_map(WHOLE, (True, False), SIZE, cells=8)
    assert (mirrored == found[:, ::-1]).all()


def test_points_of_both_views_lie_in_one_part():
    boxes, flips = [WHOLE, (10.0, 5.0, 50.0, 35.0)], ((True, False), (False, False))
    first, second = points(boxes, flips=flips)
    assert first.shape == second.shape == (1, 50, 2)
    assert first.dtype == np.int64
    one = labels(boxes[0], first[0], flips[0])
    assert len(one) == 1
    assert labels(boxes[1], second[0], flips[1]) == one


def test_other_regions_are_none_of_the_first():
    boxes = [WHOLE, (10.0, 5.0, 50.0, 35.0)]
    for box, drawn in zip(boxes, points(boxes, num_other_regions=5), strict=True):
        assert drawn.shape == (6, 50, 2)
        (own,) = labels(box, drawn[0])
        for group in drawn[1:]:
            assert len(labels(box, group)) == 1
            assert own not in labels(box, group)


def test_views_without_a_common_part_draw_their_own():
    boxes = [(0.0, 0.0, 14.0, 9.0), (46.0, 31.0, 60.0, 40.0)]
    first, second = points(boxes)
    assert labels(boxes[0], first[0]) == {1}
    assert labels(boxes[1], second[0]) == {16}


def test_a_map_of_its_own_flip_is_the_slip_of_the_release():
    """Then points of a view may lie in the mirrored part of the image."""
    boxes = [WHOLE, WHOLE]
    found = set()
    for seed in range(20):
        np.random.seed(seed)
        views = [dict(crop_box=box, flip=(False, False)) for box in boxes]
        results = dict(img=np.zeros((*SIZE, 3), np.uint8), views=views)
        RegionPoints(map_size=8, map_flip='own').transform(results)
        one, two = (labels(WHOLE, view['points'][0]) for view in views)
        found.add(one == two)
    assert found == {True, False}


def test_settings_are_refused():
    with pytest.raises(ValueError, match='num_points=0 are at least 1'):
        RegionPoints(num_points=0)

"""Polygons decode to the mask they came from, bit by bit."""

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from mmdssl.datasets.scenes import mask_to_polygons


def decode(polygons, height, width):
    codes = coco_mask.frPyObjects(polygons, height, width)
    return coco_mask.decode(coco_mask.merge(codes)).astype(bool)


@pytest.mark.parametrize('interpolation', [cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC])
def test_any_mask_round_trips(interpolation):
    random = np.random.default_rng(0)
    for _ in range(150):
        cells = int(random.integers(2, 30))
        noise = random.random((cells, cells), np.float32)
        mask = cv2.resize(noise, (37, 31), interpolation=interpolation) > random.uniform(0.2, 0.8)
        polygons = mask_to_polygons(mask)
        if not mask.any():
            assert polygons == []
            continue
        np.testing.assert_array_equal(decode(polygons, 31, 37), mask)


def test_rectangle_has_four_corners():
    mask = np.zeros((8, 9), bool)
    mask[2:5, 3:7] = True
    (polygon,) = mask_to_polygons(mask)
    corners = {tuple(p) for p in np.reshape(polygon, (-1, 2))}
    assert corners == {(3, 2), (7, 2), (7, 5), (3, 5)}
    assert len(polygon) == 8


def test_hole_and_offset():
    mask = np.ones((9, 9), bool)
    mask[3:6, 3:6] = False
    mask[4, 4] = True
    expected = np.zeros((20, 30), bool)
    expected[6:15, 10:19] = mask
    np.testing.assert_array_equal(decode(mask_to_polygons(mask, offset=(10, 6)), 20, 30), expected)

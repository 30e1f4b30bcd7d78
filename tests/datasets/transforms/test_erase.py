"""Whole-pixel boxes, and masks that add up."""

import numpy as np
import pytest

from mmdssl.datasets.transforms.erase import box_cells
from mmdssl.datasets.transforms.proposal_random_cutout import ProposalRandomCutout
from mmdssl.datasets.transforms.proposal_random_mask import ProposalRandomMask
from tests.datasets.transforms.random_boxes import random_boxes, view


def test_whole_pixel_boxes_are_their_slices():
    boxes = np.array([[2, 3, 10, 7], [0, 0, 20, 30]], np.float32)
    assert box_cells(boxes, 30, 20) == [(2, 3, 10, 7), (0, 0, 20, 30)]
    assert box_cells(boxes, 15, 10, scale=(0.5, 0.5)) == [(1, 2, 5, 4), (0, 0, 10, 15)]


def test_boxes_on_the_mask_have_a_cell_and_others_none():
    boxes = np.array([[19.7, 5, 19.9, 5.1], [-5, 4, 0, 9], [3, 3, 3, 8], [25, 2, 30, 4]])
    assert box_cells(boxes, 30, 20) == [(19, 5, 20, 6), (0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0)]


def test_outward_cells_hold_every_pixel_a_box_touches():
    rng = np.random.default_rng(0)
    boxes = random_boxes(rng, 200, height=30, width=40)
    for (x1, y1, x2, y2), cells in zip(boxes, box_cells(boxes, 30, 40, outward=True), strict=True):
        left, top, right, bottom = cells
        assert left <= x1 < left + 1
        assert top <= y1 < top + 1
        assert right - 1 < x2 <= right
        assert bottom - 1 < y2 <= bottom


def test_the_second_transform_adds_to_the_mask_of_the_first():
    np.random.seed(0)
    boxes = random_boxes(np.random.default_rng(1), 4, height=96, width=128)
    results = ProposalRandomCutout()(view(boxes))
    first = results['erase']
    both = ProposalRandomMask()(results)['erase']
    assert (both & first).sum() == first.sum()
    assert both.sum() > first.sum()
    kept = ProposalRandomMask(empty_prob=1.0)(dict(view(boxes), erase=first))['erase']
    assert np.array_equal(kept, first)


def test_masks_of_two_sizes_are_refused():
    results = ProposalRandomCutout(mask_size=48)(view(np.array([[2, 3, 40, 50]], np.float32)))
    with pytest.raises(ValueError, match='same mask_size'):
        ProposalRandomMask()(results)


def test_a_view_without_boxes_is_refused():
    with pytest.raises(ValueError, match='boxes'):
        ProposalRandomCutout()(dict(img=np.zeros((8, 8, 3), np.uint8)))

from pathlib import Path

import numpy as np
import pytest

from mmdssl.datasets.proposals.filters import ProposalFilter, Rule, counted_boxes, whole_image


@pytest.mark.golden
def test_rule_and_both_fallbacks_pass_the_golden_boxes(shared):
    with np.load(shared('golden/proposals.npz')) as golden:
        for name in golden['names']:
            stem = Path(name).stem
            raw, (height, width) = golden[f'{stem}/raw_xywh'], golden[f'{stem}/image_hw']
            for rule, key in (
                (Rule.FULL, 'filtered_xywh'),
                (Rule.WITHOUT_SIZE, 'fallback_ratio_only_xywh'),
                (Rule.MIN_SIDE, 'fallback_min32_xywh'),
            ):
                passing = ProposalFilter().passing(raw, height, width, rule)
                np.testing.assert_array_equal(raw[passing], golden[f'{stem}/{key}'])
            boxes, rule = ProposalFilter().apply(raw, height, width)
            assert rule is Rule.FULL
            np.testing.assert_array_equal(boxes, golden[f'{stem}/filtered_xywh'])


@pytest.mark.parametrize(
    ('boxes', 'rule', 'kept'),
    [
        ([[0, 0, 60, 60], [0, 0, 90, 90], [0, 0, 32, 96]], Rule.FULL, [0, 2]),
        ([[0, 0, 90, 90], [5, 5, 31, 60]], Rule.WITHOUT_SIZE, [0]),
        ([[0, 0, 99, 32], [5, 5, 31, 60]], Rule.MIN_SIDE, [0]),
        ([[0, 0, 31, 90], [0, 0, 0, 0]], Rule.WHOLE_IMAGE, []),
        (np.zeros((0, 4)), Rule.WHOLE_IMAGE, []),
    ],
)
def test_the_strictest_rule_that_leaves_a_box_counts(boxes, rule, kept):
    boxes = np.array(boxes)
    got, used = ProposalFilter().apply(boxes, 100, 100)
    assert used is rule
    np.testing.assert_array_equal(got, boxes[kept])


def test_ends_of_all_ranges_pass():
    boxes = np.array([[0, 0, 32, 32], [0, 0, 96, 32], [0, 0, 32, 96], [0, 0, 97, 32]])
    passing = ProposalFilter(size=(0.32, 1.0)).passing(boxes, 100, 100)
    assert passing.tolist() == [True, True, True, False]


def test_repeated_boxes_are_counted_in_the_order_of_first_occurrence():
    boxes = np.array([[5, 5, 9, 9], [1, 1, 2, 2], [5, 5, 9, 9], [0, 9, 9, 9], [5, 5, 9, 9]])
    once, counts = counted_boxes(boxes)
    np.testing.assert_array_equal(once, boxes[[0, 1, 3]])
    assert counts.tolist() == [3, 1, 1]
    none, counts = counted_boxes(boxes[:0])
    assert none.shape == (0, 4)
    assert counts.shape == (0,)


def test_whole_image_reaches_every_side():
    assert whole_image(30, 40).tolist() == [[0, 0, 40, 30]]


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(min_side=0), 'min_side must be at least 1'),
        (dict(max_aspect=0.5), 'max_aspect must be at least 1'),
        (dict(size=(0.8, 0.3)), r'size must be a range within 0..1, got \(0.8, 0.3\)'),
    ],
)
def test_settings_out_of_range_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        ProposalFilter(**settings)

"""What PRC guarantees, pixel for pixel, and how it cuts."""

import numpy as np
import pytest

from mmdssl.datasets.transforms.erase import box_cells
from mmdssl.datasets.transforms.proposal_random_cutout import (
    ProposalRandomCutout,
    cut_size,
    prc_mask,
)
from tests.datasets.transforms.random_boxes import random_boxes, view

HEIGHT, WIDTH = 96, 128
# Counts of pixels are whole numbers: this is far below one pixel of one box.
EXACT = 1e-5


def inside(mask, box):
    left, top, right, bottom = box
    return mask[top:bottom, left:right]


def in_turns(cells, shares, draws, **kwargs):
    """The mask after each turn: adding smaller proposals one at a time replays the earlier turns.

    Yields the position of the proposal whose turn ended, and the mask then.
    """
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in cells]
    order = sorted(range(len(cells)), key=lambda i: -areas[i])
    for turn in range(1, len(order) + 1):
        rows = sorted(order[:turn])
        mask = prc_mask(
            [cells[i] for i in rows],
            shares=[shares[i] for i in rows],
            height=HEIGHT,
            width=WIDTH,
            draws=[draws[2 * i + axis] for i in rows for axis in (0, 1)],
            **kwargs,
        )
        yield order[turn - 1], mask


def cases(count=150):
    rng = np.random.default_rng(0)
    for _ in range(count):
        size = int(rng.integers(1, 9))
        boxes = random_boxes(rng, size, height=HEIGHT, width=WIDTH)
        shares = (0.2 + 0.3 * rng.random(size)).tolist()
        yield box_cells(boxes, HEIGHT, WIDTH), shares, rng.random(2 * size).tolist()


@pytest.mark.parametrize('threshold', [None, 0.0, 0.1, 0.35])
@pytest.mark.parametrize('own_cut', ['missing', 'full'])
def test_larger_proposals_never_take_more_than_the_threshold_of_a_smaller_one(threshold, own_cut):
    restored = 0
    for cells, shares, draws in cases():
        rules = dict(threshold=threshold, own_cut=own_cut)
        turns = list(in_turns(cells, shares, draws, **rules))
        final = turns[-1][1]
        before = np.zeros_like(final)
        for index, mask in turns:
            box = cells[index]
            area = inside(mask, box).size
            limit = shares[index] if threshold is None else threshold
            # What of the larger ones' cuts is still there in the end.
            survived = inside(before & final & mask, box)
            own = inside(mask & ~before, box)
            if inside(before, box).mean() > limit:
                restored += 1
                # Restored wholly: what is cut now is the own rectangle and nothing else.
                assert inside(mask, box).sum() <= shares[index] * area + EXACT
            else:
                assert survived.sum() <= limit * area + EXACT
                # Nothing is given back without need.
                assert (before & ~mask).sum() == 0
            assert own.sum() <= shares[index] * area + EXACT
            before = mask
    assert restored > (50 if threshold is None or threshold < 0.35 else 10)


@pytest.mark.parametrize('threshold', [None, 0.1, 0.45])
def test_a_proposal_has_lost_no_more_than_its_limit_when_its_turn_ends(threshold):
    for cells, shares, draws in cases():
        for index, mask in in_turns(cells, shares, draws, threshold=threshold):
            limit = max(shares[index], threshold or 0.0)
            cut = inside(mask, cells[index])
            assert cut.sum() <= limit * cut.size + EXACT


def test_the_smallest_proposal_keeps_its_limit_in_the_final_mask():
    np.random.seed(0)
    rng = np.random.default_rng(3)
    transform = ProposalRandomCutout(ratio=0.3)
    for _ in range(200):
        boxes = random_boxes(rng, 6, height=HEIGHT, width=WIDTH)
        mask = transform(view(boxes))['erase']
        smallest = min(box_cells(boxes, HEIGHT, WIDTH), key=lambda b: (b[2] - b[0]) * (b[3] - b[1]))
        cut = inside(mask, smallest)
        assert cut.sum() <= 0.3 * cut.size + EXACT


def test_an_overlap_above_the_threshold_is_given_back_and_one_below_is_kept():
    # The large box is cut in its upper left 50 x 50, the small one sees 0 or 36 % of itself gone.
    large, small = (0, 0, 100, 90), (20, 40, 70, 65)
    share = 50 * 45 / (100 * 90)
    mask = prc_mask(
        [large, small],
        shares=[share, 0.0],
        height=HEIGHT,
        width=WIDTH,
        draws=[0, 0, 0, 0],
        threshold=0.1,
    )
    taken = 30 * 5 / (50 * 25)
    assert mask[:45, :50].sum() == 50 * 45 - 30 * 5
    assert inside(mask, small).sum() == 0
    kept = prc_mask(
        [large, small],
        shares=[share, 0.0],
        height=HEIGHT,
        width=WIDTH,
        draws=[0, 0, 0, 0],
        threshold=taken + 1e-9,
    )
    assert inside(kept, small).sum() == 30 * 5


def test_cuts_have_the_proposals_shape_and_the_drawn_area():
    np.random.seed(0)
    shares = []
    for box in ([10, 20, 110, 80], [5, 5, 40, 90]):
        transform = ProposalRandomCutout()
        for _ in range(300):
            mask = transform(view(np.array([box], np.float32)))['erase']
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            width, height = len(columns), len(rows)
            assert mask.sum() == width * height  # a rectangle, inside the box
            assert box[0] <= columns[0]
            assert columns[-1] < box[2]
            assert box[1] <= rows[0]
            assert rows[-1] < box[3]
            ratio = (width / height) / ((box[2] - box[0]) / (box[3] - box[1]))
            assert 0.9 < ratio < 1.1
            shares.append(mask.sum() / ((box[2] - box[0]) * (box[3] - box[1])))
    assert 0.19 < min(shares) < 0.21
    assert 0.48 < max(shares) <= 0.5
    assert abs(np.mean(shares) - 0.35) < 0.015


def test_side_mode_scales_the_sides():
    np.random.seed(0)
    mask = ProposalRandomCutout(ratio=0.5, scale_mode='side')(
        view(np.array([[0, 0, 120, 80]], np.float32))
    )['erase']
    assert (mask.any(0).sum(), mask.any(1).sum()) == (60, 40)


def test_disjoint_proposals_each_lose_what_was_drawn_for_them():
    np.random.seed(0)
    boxes = np.array([[0, 0, 60, 40], [64, 0, 128, 40], [0, 48, 64, 96]], np.float32)
    mask = ProposalRandomCutout(ratio=0.25)(view(boxes))['erase']
    for box in box_cells(boxes, HEIGHT, WIDTH):
        assert 0.23 < inside(mask, box).mean() <= 0.25


def test_full_cuts_come_on_top_of_what_larger_ones_took():
    boxes = np.array([[0, 0, 128, 96], [0, 0, 100, 96]], np.float32)
    np.random.seed(0)
    full = [
        ProposalRandomCutout(ratio=0.3, own_cut='full')(view(boxes))['erase'] for _ in range(50)
    ]
    share = max(mask[:, :100].mean() for mask in full)
    assert share > 0.4


@pytest.mark.parametrize('share', [0.0, 0.01, 0.2, 0.3, 0.5, 1.0])
def test_cut_sizes_never_exceed_the_share(share):
    for width in range(1, 40):
        for height in range(1, 40):
            cut_width, cut_height = cut_size(width, height, share)
            assert cut_width <= width
            assert cut_height <= height
            assert cut_width * cut_height <= share * width * height + 1e-5
            if share * width * height >= 1.0:
                assert cut_width * cut_height > 0
    assert cut_size(30, 20, 1.0) == (30, 20)


def test_another_mask_size_takes_the_boxes_along():
    np.random.seed(0)
    boxes = np.array([[0, 0, 64, 96]], np.float32)
    mask = ProposalRandomCutout(ratio=1.0, mask_size=(48, 64))(view(boxes))['erase']
    assert mask.shape == (48, 64)
    assert mask[:, :32].all()
    assert not mask[:, 32:].any()


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(ratio=(0.5, 0.2)), 'ratio'),
        (dict(scale_mode='volume'), 'scale_mode'),
        (dict(own_cut='half'), 'own_cut'),
        (dict(threshold=1.5), 'threshold'),
    ],
)
def test_unusable_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        ProposalRandomCutout(**settings)

"""What PRM shows of the surroundings of proposals."""

import numpy as np
import pytest

from mmdssl.datasets.transforms.proposal_random_mask import ProposalRandomMask, border_rectangles
from tests.datasets.transforms.random_boxes import random_boxes, view

BOX = np.array([[40, 30, 80, 60]], np.float32)


def test_proposals_are_never_touched():
    rng = np.random.default_rng(0)
    np.random.seed(0)
    for mode in ('reveal', 'hide'):
        transform = ProposalRandomMask(prm_mode=mode)
        for _ in range(50):
            boxes = random_boxes(rng, 4, height=96, width=128)
            mask = transform(view(boxes))['erase']
            for x1, y1, x2, y2 in np.rint(boxes).astype(int):
                assert not mask[y1:y2, x1:x2].any()


def test_reveal_shows_one_rectangle_beside_the_proposal_and_hide_hides_it():
    shown = {}
    for mode in ('reveal', 'hide'):
        np.random.seed(4)
        mask = ProposalRandomMask(prm_mode=mode)(view(BOX))['erase']
        outside = np.ones_like(mask)
        outside[30:60, 40:80] = False
        shown[mode] = (~mask if mode == 'reveal' else mask) & outside
    assert shown['reveal'].any()
    assert np.array_equal(shown['reveal'], shown['hide'])
    rows, columns = shown['reveal'].any(1).sum(), shown['reveal'].any(0).sum()
    assert rows * columns < 0.6 * 40 * 30 * 1.2


def test_rectangles_have_the_drawn_area_and_aspect_and_lie_on_the_border():
    rng = np.random.default_rng(0)
    boxes = random_boxes(rng, 500, height=96, width=128).astype(np.float64)
    areas, aspects, places = (
        0.2 + 0.4 * rng.random(500),
        0.75 + 0.5 * rng.random(500),
        rng.random(500),
    )
    rectangles = border_rectangles(boxes, areas=areas, aspects=aspects, places=places)
    size, box = rectangles[:, 2:] - rectangles[:, :2], boxes[:, 2:] - boxes[:, :2]
    assert np.allclose(size.prod(1), areas * box.prod(1))
    assert np.allclose(size[:, 0] / size[:, 1], aspects)
    centre = (rectangles[:, :2] + rectangles[:, 2:]) / 2
    gap = np.abs(np.concatenate([centre - boxes[:, :2], centre - boxes[:, 2:]], axis=1)).min(1)
    assert gap.max() < 1e-9  # on one of the four lines
    assert (centre >= boxes[:, :2] - 1e-9).all()
    assert (centre <= boxes[:, 2:] + 1e-9).all()


def test_all_sides_of_the_border_are_met_in_proportion_to_their_length():
    places = (np.arange(1400) + 0.5) / 1400
    rectangles = border_rectangles(
        np.repeat(BOX, 1400, axis=0), areas=np.full(1400, 0.3), aspects=np.ones(1400), places=places
    )
    x, y = ((rectangles[:, :2] + rectangles[:, 2:]) / 2).T
    counts = [np.isclose(y, 30).sum(), np.isclose(x, 80).sum(), np.isclose(y, 60).sum()]
    assert counts == [400, 300, 400]
    assert np.isclose(x, 40).sum() == 300


def test_a_smaller_mask_shows_the_same_share():
    np.random.seed(5)
    full = ProposalRandomMask()(view(BOX))['erase']
    np.random.seed(5)
    half = ProposalRandomMask(mask_size=(48, 64))(view(BOX))['erase']
    assert half.shape == (48, 64)
    assert abs(full.mean() - half.mean()) < 0.01


def test_unusable_settings_are_refused():
    with pytest.raises(ValueError, match='prm_mode'):
        ProposalRandomMask(prm_mode='show')
    with pytest.raises(ValueError, match='aspect'):
        ProposalRandomMask(aspect=(2.0, 1.0))

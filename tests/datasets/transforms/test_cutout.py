import numpy as np
import pytest

from mmdssl.datasets.transforms.cutout import SquareCutout, cut_squares, square_in_box
from tests.golden import Golden


def sample(boxes, height=100, width=120):
    return dict(
        img=np.zeros((height, width, 3), np.uint8), boxes=np.array(boxes, np.float32).reshape(-1, 4)
    )


@pytest.mark.golden
def test_squares_are_those_of_the_reference(shared):
    golden = Golden.load(shared('golden/soco_loss.npz')).sub('cutout/')
    boxes = golden['boxes_pixel'][:, :4].int().tolist()
    draws = golden['draws_arearatio_cx_cy'].tolist()
    size = max(max(box) for box in boxes) + 1  # 224
    for box, (ratio, x, y), want in zip(
        boxes, draws, golden['zeroed_rect_inclusive_xyxy'].tolist(), strict=True
    ):
        square = square_in_box(tuple(box), ratio=ratio, centre=(int(x), int(y)))
        rows, columns = np.nonzero(cut_squares([square], height=size, width=size))
        assert [columns.min(), rows.min(), columns.max(), rows.max()] == want
        assert len(rows) == (want[2] - want[0] + 1) * (want[3] - want[1] + 1)


def test_a_square_off_the_image_cuts_nothing_of_it():
    squares = [(-9, -9, -1, -1), (30, 2, 40, 8), (2, 30, 8, 40), (-3, -2, 1, 0)]
    mask = cut_squares(squares, height=20, width=20)
    assert mask.sum() == 2
    assert mask[0, :2].all()


def test_area_is_the_drawn_share_of_the_box_and_the_centre_is_uniform_in_it():
    np.random.seed(0)
    cutout = SquareCutout(prob=1.0, ratio=(0.1, 0.3))
    box = [40, 30, 79, 69]  # far enough from the borders
    areas, centres = [], []
    for _ in range(1500):
        rows, columns = np.nonzero(cutout(sample([box]))['erase'])
        sides = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert sides[0] == sides[1]
        assert len(rows) == sides[0] ** 2
        areas.append(len(rows) / 40**2)
        centres.append([(columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2])
    assert 0.08 < min(areas) < max(areas) < 0.34  # whole pixels, odd sides
    assert abs(np.mean(areas) - 0.2) < 0.015
    centres = np.array(centres)
    assert centres.min(axis=0).tolist() == [40, 30]
    assert centres.max(axis=0).tolist() == [79, 69]
    np.testing.assert_allclose(centres.mean(axis=0), [59.5, 49.5], atol=1)
    np.testing.assert_allclose(centres.std(axis=0), 40 / np.sqrt(12), atol=0.7)


def test_each_box_is_cut_on_its_own_with_the_probability():
    np.random.seed(1)
    cutout, apart = SquareCutout(prob=0.5), [[10, 10, 29, 29], [80, 60, 99, 79]]
    masks = np.stack([cutout(sample(apart))['erase'] for _ in range(1500)])
    counts = np.stack([masks[:, :45, :50].sum(axis=(1, 2)), masks[:, 45:, 50:].sum(axis=(1, 2))], 1)
    hits = counts > 0
    np.testing.assert_allclose(hits.mean(axis=0), 0.5, atol=0.05)
    assert abs(hits.all(axis=1).mean() - 0.25) < 0.05
    assert abs(counts[hits].mean() / 20**2 - 0.2) < 0.02  # whether says nothing about how much


def test_corners_are_truncated_to_whole_pixels():
    def mask(boxes):
        np.random.seed(2)
        return SquareCutout(prob=1.0)(sample(boxes))['erase']

    whole, parts = [[10, 20, 60, 70]], [[10.9, 20.2, 60.99, 70.5]]
    np.testing.assert_array_equal(mask(whole), mask(parts))


def test_no_boxes_and_no_probability_give_an_empty_mask():
    for mask in (
        SquareCutout(prob=1.0)(sample([]))['erase'],
        SquareCutout(prob=0.0)(sample([[10, 10, 50, 50]]))['erase'],
    ):
        assert mask.shape == (100, 120)
        assert mask.dtype == bool
        assert not mask.any()


def test_missing_boxes_and_bad_settings_are_refused():
    with pytest.raises(ValueError, match=r"SquareCutout found no results\['boxes'\]"):
        SquareCutout()(dict(img=np.zeros((4, 4, 3), np.uint8)))
    with pytest.raises(ValueError, match='SquareCutout: prob is a number'):
        SquareCutout(prob=1.5)


@pytest.mark.parametrize(
    ('square', 'cells'),
    [
        ((-2, -3, 1, 2), (slice(0, 3), slice(0, 2))),  # over two borders
        ((3, 2, 9, 9), (slice(2, 5), slice(3, 7))),  # over the others
        ((1, 2, 1, 2), (slice(2, 3), slice(1, 2))),  # one pixel
        ((-5, 1, -2, 3), (slice(0, 0), slice(0, 0))),  # beyond the left border
        ((1, -5, 3, -1), (slice(0, 0), slice(0, 0))),  # beyond the upper one
    ],
)
def test_squares_are_cut_off_at_the_borders(square, cells):
    wanted = np.zeros((5, 7), bool)
    wanted[cells] = True
    np.testing.assert_array_equal(cut_squares([square], height=5, width=7), wanted)

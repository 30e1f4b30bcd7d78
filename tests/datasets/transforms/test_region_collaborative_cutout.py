import math
import random

import numpy as np
import pytest

from mmdssl.datasets.transforms import canvas
from mmdssl.datasets.transforms.region_collaborative_cutout import (
    RegionCollaborativeCutout,
    rcc_mask,
)
from mmdssl.datasets.transforms.regions import GridRegions
from mmdssl.evaluation.cutout_ratio import cut_shares, random_regions
from tests.datasets.transforms.golden_masks import assert_same_distribution, load_cases

STATS = 'golden/rcc_stats.json'


def slow_rcc(boxes, ratio, height, width, draws):
    """The words of the paper and its code, cell by cell and without any trick."""
    cut = [[False] * width for _ in range(height)]
    draws = list(draws)
    for x1, y1, x2, y2 in sorted(boxes, key=lambda b: -(b[2] - b[0]) * (b[3] - b[1])):
        left, right = round(x1), min(round(x2), width - 1)
        top, bottom = round(y1), min(round(y2), height - 1)
        cells = [(y, x) for y in range(top, bottom + 1) for x in range(left, right + 1)]
        covered = sum(cut[y][x] for y, x in cells) / len(cells)
        if covered > ratio:
            for y, x in cells:
                cut[y][x] = False
            covered = 0.0
        target = (ratio - covered) * len(cells)
        wide, high = right - left + 1, bottom - top + 1
        w, h = math.sqrt(target * wide / high), math.sqrt(target * high / wide)
        if w == 0 or h == 0:
            continue
        x = left + (right - w - left) * draws.pop(0)
        y = top + (bottom - h - top) * draws.pop(0)
        for row in range(round(y), min(round(y + h), bottom)):
            for column in range(round(x), min(round(x + w), right)):
                cut[row][column] = True
    return np.array(cut)


@pytest.mark.golden
def test_masks_equal_the_official_ones_cell_for_cell(shared):
    for match, cases in load_cases(shared(STATS), r'examples_rc([\d.]+)_V(\d+)').values():
        ratio, side = float(match[1]), int(match[2])
        for case in cases:
            random.seed(case['python_random_seed'])
            uniforms = [random.random() for _ in range(4 * len(case['boxes']))]
            regions = GridRegions(grid=math.isqrt(len(case['boxes'])))
            boxes = np.array(regions.boxes_from(uniforms)) * side
            draws = [random.random() for _ in range(2 * len(boxes))]
            mask = rcc_mask(boxes, ratio=ratio, height=side, width=side, draws=draws)
            np.testing.assert_array_equal(mask, np.array(case['cut_cells'], bool))


@pytest.mark.golden
def test_masks_of_grid_regions_have_the_official_distribution(shared):
    pattern = r'grid(\d)_V(\d+)_scale([\d.]+)-([\d.]+)_rc(.+)'
    for name, (match, want) in load_cases(shared(STATS), pattern).items():
        side = int(match[2])
        rule = match[5]
        if rule == '_official_sampler':
            settings = dict(ratio=(0.2, 0.6), empty_prob=0.5)
        elif rule.startswith('U('):
            settings = dict(ratio=tuple(float(x) for x in rule[2:-1].split(',')))
        else:
            settings = dict(ratio=float(rule))
        transform = RegionCollaborativeCutout(mask_size=side, **settings)
        regions = GridRegions(grid=int(match[1]), scale=(float(match[3]), float(match[4])))
        size = 224
        blank = np.zeros((size, size, 3), np.uint8)
        np.random.seed(0)

        def draw(regions=regions, transform=transform, side=side, blank=blank):
            results = transform(regions(dict(img=blank)))
            return results['regions'] * (side / len(blank)), results['mask']

        assert_same_distribution(name, want, draw)


@pytest.mark.golden
def test_masks_of_fixed_regions_have_the_official_distribution(shared):
    for name, (match, want) in load_cases(shared(STATS), r'fixed_\w+_V(\d+)_rc([\d.]+)').items():
        side, ratio = int(match[1]), float(match[2])
        boxes = np.array(want['boxes']) * side
        rng = np.random.default_rng(0)
        assert_same_distribution(
            name,
            want,
            lambda boxes=boxes, ratio=ratio, side=side, rng=rng: (
                boxes,
                rcc_mask(boxes, ratio=ratio, height=side, width=side, rng=rng),
            ),
        )


@pytest.mark.golden
def test_masks_of_random_regions_have_the_official_distribution(shared):
    pattern = r'fig11_V(\d+)_regions(\d+)_rc([\d.]+)'
    for name, (match, want) in load_cases(shared(STATS), pattern).items():
        side, count, ratio = int(match[1]), int(match[2]), float(match[3])
        rng = np.random.default_rng(0)

        def draw(side=side, count=count, ratio=ratio, rng=rng):
            boxes = random_regions(count, rng) * side
            return boxes, rcc_mask(boxes, ratio=ratio, height=side, width=side, rng=rng)

        assert_same_distribution(name, want, draw)


@pytest.mark.parametrize(('height', 'width'), [(14, 14), (10, 21), (40, 28), (96, 80)])
def test_fast_mask_equals_the_slow_one_cell_for_cell(height, width):
    rng = np.random.default_rng(3)
    for _ in range(60):
        boxes = random_regions(7, rng, scale=(0.1, 0.5)) * (width, height, width, height)
        ratio, draws = rng.uniform(0.1, 0.7), rng.random(14).tolist()
        got = rcc_mask(boxes, ratio=ratio, height=height, width=width, draws=draws)
        # boxes this large are never thin, where the slow rule would lose cuts
        np.testing.assert_array_equal(got, slow_rcc(boxes.tolist(), ratio, height, width, draws))


@pytest.mark.parametrize('place', ['inside', 'straddle'])
@pytest.mark.parametrize('scale_mode', ['area', 'side'])
@pytest.mark.parametrize('ratio_rule', ['covered', 'literal'])
def test_transposed_regions_give_the_transposed_mask(place, scale_mode, ratio_rule):
    switches = dict(place=place, scale_mode=scale_mode, ratio_rule=ratio_rule)
    rng = np.random.default_rng(4)
    for _ in range(30):
        boxes, draws = random_regions(6, rng) * (22, 9, 22, 9), rng.random((6, 2))
        mask = rcc_mask(
            boxes, ratio=0.4, height=9, width=22, draws=draws.ravel().tolist(), **switches
        )
        turned = rcc_mask(
            boxes[:, [1, 0, 3, 2]],
            ratio=0.4,
            height=22,
            width=9,
            draws=draws[:, ::-1].ravel().tolist(),
            **switches,
        )
        np.testing.assert_array_equal(mask, turned.T)


def test_small_and_large_canvas_give_the_same_mask(monkeypatch):
    rng = np.random.default_rng(5)
    boxes, draws = random_regions(9, rng) * (30, 20, 30, 20), rng.random(18).tolist()
    small = rcc_mask(boxes, ratio=0.3, height=20, width=30, draws=draws)
    monkeypatch.setattr(canvas, '_MAX_BITS', 0)
    large = rcc_mask(boxes, ratio=0.3, height=20, width=30, draws=draws)
    assert isinstance(canvas.make_canvas(20, 30), canvas.ArrayCanvas)
    np.testing.assert_array_equal(small, large)


def test_the_order_of_regions_does_not_matter():
    rng = np.random.default_rng(6)
    boxes, draws = random_regions(9, rng) * 50, rng.random(18).tolist()
    mask = rcc_mask(boxes, ratio=0.4, height=50, width=50, draws=draws)
    again = rcc_mask(boxes[rng.permutation(9)], ratio=0.4, height=50, width=50, draws=draws)
    np.testing.assert_array_equal(mask, again)


def test_over_cut_region_is_restored_before_it_is_cut():
    # The large box is cut entirely inside the small one's reach; the small one must end at 0.4.
    boxes = np.array([[0, 0, 100, 100], [0, 0, 60, 60]], float)
    draws = [0.0, 0.0, 0.5, 0.5]  # first cut at the corner: sides sqrt(.4) * 100 = 63
    mask = rcc_mask(boxes, ratio=0.4, height=100, width=100, draws=draws)
    assert cut_shares(boxes, mask)[1] == pytest.approx(0.4, abs=0.02)
    assert mask[:63, 61:63].all()  # what the large cut took outside the small box stays


@pytest.mark.parametrize('ratio', [0.2, 0.4, 0.6, 0.8])
def test_single_region_loses_exactly_its_ratio(ratio):
    rng = np.random.default_rng(7)
    box = np.array([[20, 40, 190, 180]], float)
    shares = [
        cut_shares(box, rcc_mask(box, ratio=ratio, height=224, width=224, rng=rng))[0]
        for _ in range(50)
    ]
    np.testing.assert_allclose(shares, ratio, atol=0.012)


@pytest.mark.parametrize('size', [(1, 1), (1, 9), (9, 1), (2, 9), (9, 2), (2, 2), (1, 2)])
@pytest.mark.parametrize('corner', [(0, 0), (5, 5)])
def test_thin_boxes_are_cut_inside_and_not_lost(size, corner):
    side = 14
    width, height = size
    # Inclusive corners: the box covers exactly width x height cells.
    box = [[corner[0], corner[1], corner[0] + width - 0.6, corner[1] + height - 0.6]]
    inside = np.zeros((side, side), bool)
    inside[corner[1] : corner[1] + height, corner[0] : corner[0] + width] = True
    rng = np.random.default_rng(8)
    for ratio in (0.6, 0.9):
        masks = [rcc_mask(box, ratio=ratio, height=side, width=side, rng=rng) for _ in range(200)]
        assert all(not (mask & ~inside).any() for mask in masks)
        assert all(mask.any() for mask in masks)
    assert inside[rcc_mask(box, ratio=1.0, height=side, width=side)].all()
    np.testing.assert_array_equal(rcc_mask(box, ratio=1.0, height=side, width=side), inside)


def test_thin_box_at_the_far_edge_is_cut():
    box = [[13.6, 2.0, 14.0, 12.0]]  # rounds to column 14 of 0..13
    mask = rcc_mask(box, ratio=1.0, height=14, width=14)
    assert mask[2:13, 13].all()
    assert not mask[:, :13].any()


def test_boxes_without_area_or_off_the_mask_are_passed_over():
    boxes = np.array([[3, 3, 3, 9], [0, 0, 0, 0], [20, 2, 30, 9], [-9, -9, -1, -1], [8, 8, 2, 2]])
    assert not rcc_mask(boxes, ratio=0.9, height=14, width=14).any()
    assert not rcc_mask(np.zeros((0, 4)), ratio=0.9, height=14, width=14).any()


def test_box_reaching_over_the_border_is_clipped_first():
    rng = np.random.default_rng(9)
    draws = rng.random(2).tolist()
    over = rcc_mask([[-20, 3, 9, 40]], ratio=0.4, height=14, width=14, draws=draws)
    clipped = rcc_mask([[0, 3, 9, 14]], ratio=0.4, height=14, width=14, draws=draws)
    np.testing.assert_array_equal(over, clipped)


def test_ratio_zero_cuts_nothing_and_one_cuts_the_whole_region():
    boxes = random_regions(6, np.random.default_rng(10)) * 28
    assert not rcc_mask(boxes, ratio=0.0, height=28, width=28).any()
    for box in boxes:
        full = rcc_mask(box[None], ratio=1.0, height=28, width=28)
        assert cut_shares(box[None], full) == 1.0


def results_of(height, width):
    np.random.seed(11)
    return GridRegions()(dict(img=np.zeros((height, width, 3), np.uint8)))


@pytest.mark.parametrize(
    ('mask_size', 'shape'), [(None, (64, 96)), (14, (14, 14)), ((4, 6), (4, 6))]
)
def test_mask_has_the_resolution_asked_for(mask_size, shape):
    results = RegionCollaborativeCutout(ratio=0.4, mask_size=mask_size, key='m')(results_of(64, 96))
    assert results['m'].shape == shape
    assert results['m'].dtype == bool
    assert 0.2 < results['m'].mean() < 0.7


def test_regions_are_scaled_from_pixels_to_cells_by_axis():
    results = dict(img=np.zeros((40, 200, 3), np.uint8))
    results['boxes'] = np.array([[100, 0, 200, 20]], np.float32)  # right half, upper half
    transform = RegionCollaborativeCutout(ratio=1.0, mask_size=(8, 10), regions_key='boxes')
    mask = transform(results)['mask']
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max()) == (0, 4)  # inclusive corner round(4)
    assert (columns.min(), columns.max()) == (5, 9)


def test_ratio_range_and_empty_share():
    np.random.seed(12)
    transform = RegionCollaborativeCutout(ratio=(0.2, 0.6), empty_prob=0.3, mask_size=14)
    results = results_of(224, 224)
    areas = np.array([transform(results)['mask'].mean() for _ in range(1500)])
    assert (areas == 0).mean() == pytest.approx(0.3, abs=0.05)
    assert areas[areas > 0].min() < 0.3
    assert areas.max() > 0.5


def test_missing_regions_give_a_remedy():
    with pytest.raises(ValueError, match='GridRegions'):
        RegionCollaborativeCutout(ratio=0.4)(dict(img=np.zeros((8, 8, 3), np.uint8)))


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(ratio=1.4), 'ratio'),
        (dict(ratio=(0.5, 0.3)), 'ratio'),
        (dict(empty_prob=-0.1), 'empty_prob'),
        (dict(mask_size=0), 'mask_size'),
        (dict(mask_size=(14, 0)), 'mask_size'),
        (dict(place='outside'), "place='outside'.*'inside', 'straddle'"),
        (dict(scale_mode='sides'), 'scale_mode'),
        (dict(ratio_rule='x'), 'ratio_rule'),
    ],
)
def test_settings_out_of_range_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        RegionCollaborativeCutout(**settings)


def slow_rcc_in_order(cells, ratio, side):
    """RCC of boxes given as inclusive cells, in the order given."""
    mask = np.zeros((side, side), bool)
    for x1, y1, x2, y2 in cells:
        inside = mask[y1 : y2 + 1, x1 : x2 + 1]
        taken = inside.mean()
        if taken > ratio:
            inside[:] = False
            taken = 0.0
        w, h = (np.array([x2 - x1 + 1, y2 - y1 + 1]) * math.sqrt(ratio - taken)).tolist()
        x, y = np.random.uniform((x1, y1), (x2 - w, y2 - h))
        mask[round(y) : round(y + h), round(x) : round(x + w)] = True
    return mask


@pytest.mark.golden
@pytest.mark.parametrize('by_cells', [False, True])
def test_golden_cases_tell_sorting_by_float_area_from_sorting_by_cells(shared, by_cells):
    """The statistics are sharp enough for a mistake that raises the mean from .423 to .439."""
    name = 'grid3_V14_scale0.12-0.3_rc0.4'  # the one whose means were compared
    pattern = r'grid(\d)_V(\d+)_scale([\d.]+)-([\d.]+)_rc([\d.]+)'
    match, want = load_cases(shared(STATS), pattern)[name]
    side, ratio = int(match[2]), float(match[5])
    regions = GridRegions(grid=int(match[1]), scale=(float(match[3]), float(match[4])))

    def draw():
        boxes = np.array(regions.boxes_from(np.random.random(4 * int(match[1]) ** 2))) * side
        cells = np.minimum(np.rint(boxes), side - 1).astype(int)
        sizes = (cells[:, 2:] - cells[:, :2] + 1) if by_cells else boxes[:, 2:] - boxes[:, :2]
        order = np.argsort(-sizes.prod(1), kind='stable')
        return boxes, slow_rcc_in_order(cells[order].tolist(), ratio, side)

    np.random.seed(0)
    if by_cells:
        with pytest.raises(AssertionError, match='area mean'):
            assert_same_distribution(name, want, draw)
    else:
        assert_same_distribution(name, want, draw)

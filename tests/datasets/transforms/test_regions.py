import json
import math

import numpy as np
import pytest

from mmdssl.datasets.transforms.regions import GridRegions
from tests.datasets.transforms.golden_masks import load_cases


def image(height=224, width=224):
    return dict(img=np.zeros((height, width, 3), np.uint8))


@pytest.mark.golden
def test_box_corners_have_the_official_moments(shared):
    want = json.loads(shared('golden/rcc_stats.json').read_text())['grid_boxes_default']
    np.random.seed(0)
    cells, count = len(want['box_mean_xyxy_by_cell']), want['n']
    regions = GridRegions(grid=math.isqrt(cells))
    boxes = np.array([regions.boxes_from(np.random.random(4 * cells)) for _ in range(count)])
    mean, std = np.array(want['box_mean_xyxy_by_cell']), np.array(want['box_std_xyxy_by_cell'])
    error = 4 * std * np.sqrt(2 / count)
    assert (np.abs(boxes.mean(0) - mean) <= np.maximum(error, 1e-3)).all()
    assert (np.abs(boxes.std(0) - std) <= np.maximum(error, 1e-3)).all()
    area = (boxes[..., 2:] - boxes[..., :2]).prod(-1)
    spread = np.array(want['clipped_area_std_by_cell'])
    difference = np.abs(area.mean(0) - want['clipped_area_mean_by_cell'])
    assert (difference <= 4 * spread * np.sqrt(2 / count)).all()
    np.testing.assert_allclose(area.std(0), spread, atol=0.004)
    assert area.max() <= regions.scale[1]
    assert want['max_box_area'] - 0.01 < area.max()
    assert (boxes[..., 2:] - boxes[..., :2]).min() == pytest.approx(want['min_side'], abs=0.02)


@pytest.mark.golden
def test_boxes_equal_the_official_ones_for_the_same_draws(shared):
    import random

    for _, cases in load_cases(shared('golden/rcc_stats.json'), r'examples_.+').values():
        for case in cases:
            random.seed(case['python_random_seed'])
            uniforms = [random.random() for _ in range(4 * len(case['boxes']))]
            regions = GridRegions(grid=math.isqrt(len(case['boxes'])))
            np.testing.assert_allclose(regions.boxes_from(uniforms), case['boxes'], atol=1e-12)


def test_boxes_are_float32_pixels_of_the_image():
    np.random.seed(1)
    results = GridRegions(grid=3)(image(100, 400))
    boxes = results['regions']
    assert boxes.shape == (9, 4)
    assert boxes.dtype == np.float32
    assert boxes[:, [0, 2]].max() > 300
    assert boxes[:, [1, 3]].max() <= 100
    assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_cells_are_row_major_and_grids_may_be_rectangular():
    regions = GridRegions(grid=(2, 4), scale=(0.01, 0.02))
    np.random.seed(2)
    for _ in range(50):
        boxes = np.array(regions.boxes_from(np.random.random(32)))
        center = (boxes[:, :2] + boxes[:, 2:]) / 2
        column, row = np.floor(center * (4, 2)).T
        assert column.tolist() == [0, 1, 2, 3] * 2
        assert row.tolist() == [0] * 4 + [1] * 4
        # the middle half of the cell
        inside = center * (4, 2) % 1
        assert ((inside >= 0.25 - 1e-9) & (inside <= 0.75 + 1e-9)).all()


def test_area_and_aspect_stay_in_range_before_clipping():
    regions = GridRegions(grid=1, scale=(0.05, 0.1), aspect=(0.5, 2.0))
    sides = np.array(
        [regions.boxes_from(np.random.random(4))[0] for _ in range(500)]
    )  # small and central: never clipped
    width, height = sides[:, 2] - sides[:, 0], sides[:, 3] - sides[:, 1]
    assert 0.05 <= (width * height).min() < 0.055
    assert 0.095 < (width * height).max() <= 0.1
    assert 0.5 <= (width / height).min() < 0.55
    assert 1.9 < (width / height).max() <= 2.0
    assert np.median(width / height) == pytest.approx(1.0, abs=0.08)  # log-uniform


@pytest.mark.parametrize(
    'settings',
    [dict(grid=0), dict(grid=(3,)), dict(scale=(0.3, 0.12)), dict(scale=(0.1, 4)), dict(aspect=0)],
)
def test_settings_out_of_range_are_named(settings):
    with pytest.raises(ValueError, match=f'GridRegions: {next(iter(settings))}'):
        GridRegions(**settings)

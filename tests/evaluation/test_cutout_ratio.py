import itertools

import numpy as np
import pytest

from mmdssl.evaluation.cutout_ratio import (
    CUTOUT_VARIANTS,
    cut_shares,
    cutout_examples,
    cutout_ratio_curve,
    random_regions,
)

COUNTS = (1, 2, 4, 6, 8, 10, 12, 16)

# Realised ratio at 1, 4, 8 and 16 regions, from an independent re-run of the paper's experiment
# (ratio 0.4, 224 x 224 pixels, 500 masks a point).
EXPECTED = {
    'Cutout, inside': (0.400, 0.616, 0.745, 0.848),
    'RCC, inside, area (default)': (0.400, 0.399, 0.395, 0.394),
    'Cutout, straddling': (0.149, 0.376, 0.572, 0.812),
    'RCC, straddling, area': (0.153, 0.240, 0.266, 0.289),
    'RCC, straddling, side': (0.083, 0.155, 0.201, 0.228),
    'RCC, literal Alg. 2': (0.083, 0.093, 0.108, 0.112),
}


def curve(variant, **settings):
    rows = cutout_ratio_curve(variants=[variant], **settings)
    return {row['regions']: row['realised'] for row in rows}


def test_rcc_stays_at_the_ratio_for_any_number_of_regions():
    realised = curve('RCC, inside, area (default)', counts=COUNTS, repeats=300)
    assert max(abs(value - 0.4) for value in realised.values()) < 0.02


def test_cutout_grows_with_the_number_of_regions():
    realised = list(curve('Cutout, inside', counts=COUNTS, repeats=200).values())
    assert all(first < second for first, second in itertools.pairwise(realised))
    assert all(value > 0.6 for value in realised[COUNTS.index(4) :])


def test_every_reading_of_the_algorithms_gives_its_own_curve():
    assert set(EXPECTED) == set(CUTOUT_VARIANTS)
    rows = cutout_ratio_curve(counts=(1, 4, 8, 16), repeats=300)
    for variant, wanted in EXPECTED.items():
        points = [row for row in rows if row['variant'] == variant]
        for row, want in zip(points, wanted, strict=True):
            # Both are samples; theirs is the larger one.
            allowed = 4 * np.sqrt(2) * row['standard_error'] + 0.003
            assert abs(row['realised'] - want) < allowed, (variant, row, want)


def test_cut_share_counts_the_cells_of_each_region():
    mask = np.zeros((10, 20), bool)
    mask[2:5, 3:9] = True
    # Inclusive corners: columns 0..9 and rows 0..4, columns 3..8 and rows 2..4, all 200 cells.
    boxes = np.array([[0, 0, 9, 4], [3, 2, 8, 4], [0, 0, 20, 10]], float)
    np.testing.assert_allclose(cut_shares(boxes, mask), [18 / 50, 1.0, 18 / 200])


def test_random_regions_are_clipped_boxes_of_the_image():
    boxes = random_regions(2000, np.random.default_rng(0))
    assert boxes.min() == 0
    assert boxes.max() == 1
    sides = boxes[:, 2:] - boxes[:, :2]
    assert (sides > 0).all()
    assert sides.prod(1).max() <= 1
    unclipped = ((boxes > 0) & (boxes < 1)).all(1)
    assert sides[unclipped].prod(1).min() >= 0.2
    aspect = (sides[:, 0] / sides[:, 1])[unclipped]
    assert aspect.min() >= 0.5
    assert aspect.max() <= 2


def test_variants_are_compared_on_the_same_regions():
    rows = cutout_ratio_curve(counts=(1,), repeats=20)
    one = {row['variant']: row['realised'] for row in rows}
    # With a single region collaborative and plain cutout are the same thing.
    assert one['RCC, inside, area (default)'] == pytest.approx(one['Cutout, inside'])
    assert one['RCC, straddling, area'] == pytest.approx(one['Cutout, straddling'])
    boxes, masks = cutout_examples(regions=1, count=3, size=56)
    assert len(boxes) == 3
    np.testing.assert_array_equal(masks['RCC, inside, area (default)'], masks['Cutout, inside'])

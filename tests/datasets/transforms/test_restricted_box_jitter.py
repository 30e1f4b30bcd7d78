"""RBJ never leaves the original box."""

import numpy as np
import pytest

from mmdssl.datasets.transforms.restricted_box_jitter import RestrictedBoxJitter
from tests.datasets.transforms.random_boxes import random_boxes


@pytest.mark.parametrize('ratio', [0.1, 0.5, 0.999])
def test_boxes_lie_inside_the_original_bit_for_bit(ratio):
    np.random.seed(0)
    boxes = random_boxes(np.random.default_rng(0), 5000, height=224, width=224)
    results = RestrictedBoxJitter(ratio=ratio)(dict(boxes=boxes.copy()))
    jittered = results['boxes']
    assert jittered.dtype == np.float32
    assert (jittered[:, :2] >= boxes[:, :2]).all()
    assert (jittered[:, 2:] <= boxes[:, 2:]).all()
    assert (jittered[:, 2:] > jittered[:, :2]).all()


def test_sides_shrink_uniformly_and_on_their_own_and_the_place_is_uniform():
    np.random.seed(0)
    boxes = np.tile(np.array([[20, 40, 120, 90]], np.float32), (20000, 1))
    jittered = RestrictedBoxJitter()(dict(boxes=boxes))['boxes'].astype(float)
    size = jittered[:, 2:] - jittered[:, :2]
    factors = size / (100, 50)
    assert factors.min() > 0.9 - 1e-4
    assert factors.max() < 1 + 1e-4
    assert np.allclose(factors.mean(0), 0.95, atol=1e-3)
    assert abs(np.corrcoef(factors.T)[0, 1]) < 0.03
    place = (jittered[:, :2] - (20, 40)) / np.maximum((100, 50) - size, 1e-6)
    chosen = factors < 0.99
    assert abs(place[chosen[:, 0], 0].mean() - 0.5) < 0.01
    assert abs(place[chosen[:, 1], 1].mean() - 0.5) < 0.01


def test_probability_leaves_boxes_alone():
    np.random.seed(0)
    boxes = random_boxes(np.random.default_rng(0), 4000, height=224, width=224)
    jittered = RestrictedBoxJitter(prob=0.25)(dict(boxes=boxes))['boxes']
    assert abs((jittered != boxes).any(1).mean() - 0.25) < 0.03
    assert np.array_equal(RestrictedBoxJitter(ratio=0.0)(dict(boxes=boxes))['boxes'], boxes)


def test_unusable_settings_and_missing_boxes_are_refused():
    with pytest.raises(ValueError, match='ratio'):
        RestrictedBoxJitter(ratio=1.0)
    with pytest.raises(ValueError, match='prob'):
        RestrictedBoxJitter(prob=2.0)
    with pytest.raises(ValueError, match='boxes'):
        RestrictedBoxJitter()(dict())

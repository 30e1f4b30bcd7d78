import numpy as np
import pytest
import torch

from mmdssl.datasets.transforms.box_jitter import BoxJitter, jitter_boxes
from tests.golden import Golden, assert_close


def sample(boxes, height=200, width=300):
    return dict(img=np.zeros((height, width, 3), np.uint8), boxes=np.array(boxes, np.float32))


@pytest.mark.golden
def test_jittered_boxes_are_those_of_the_reference(shared):
    golden = Golden.load(shared('golden/soco_loss.npz')).sub('jitter/')
    got = jitter_boxes(golden['boxes'][:, :4].numpy(), golden['draws'].numpy())
    assert_close(torch.from_numpy(got), golden['out'][:, :4], tolerance=1e-12)


def test_shifts_and_sizes_are_uniform_within_the_ratio_and_half_the_boxes_stay():
    np.random.seed(0)
    boxes = np.array([[100, 50, 199, 99]] * 4000, np.float32)
    moved = BoxJitter(prob=0.5, ratio=0.1)(sample(boxes))['boxes']
    assert moved.dtype == np.float32
    kept = (moved == boxes).all(axis=1)
    assert abs(kept.mean() - 0.5) < 0.04
    moved = moved[~kept]
    size = moved[:, 2:] - moved[:, :2] + 1
    changes = np.concatenate([(moved[:, :2] - [100, 50]) / [100, 50], size / [100, 50] - 1], axis=1)
    assert np.abs(changes).max() <= 0.1 + 1e-5
    np.testing.assert_allclose(changes.mean(axis=0), 0, atol=0.006)
    np.testing.assert_allclose(changes.std(axis=0), 0.2 / np.sqrt(12), atol=0.003)
    assert np.abs(np.corrcoef(changes.T) - np.eye(4)).max() < 0.1


def test_boxes_stay_inside_the_image_and_keep_an_area():
    np.random.seed(1)
    boxes = np.array([[0, 0, 299, 199], [299.5, 100, 300, 110]] * 500, np.float32)
    given = boxes.copy()
    moved = BoxJitter(prob=1.0, ratio=0.9)(sample(boxes))['boxes']
    assert moved.min() >= 0
    assert (moved <= [300, 200, 300, 200]).all()
    assert (moved[:, 2:] > moved[:, :2]).all()
    np.testing.assert_array_equal(boxes, given)


def test_missing_boxes_and_bad_settings_are_refused():
    with pytest.raises(ValueError, match='put it in finish of CommonBoxViews'):
        BoxJitter()(dict(img=np.zeros((4, 4, 3), np.uint8)))
    with pytest.raises(ValueError, match='BoxJitter: ratio'):
        BoxJitter(ratio=1.0)

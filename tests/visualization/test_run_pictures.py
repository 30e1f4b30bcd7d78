"""The pictures of a run."""

import numpy as np
import pytest
from PIL import Image

from mmdssl.visualization.run_pictures import draw_mask_kinds, pick_points


@pytest.mark.parametrize('shape', [(96, 96), (60, 200)])
def test_points_lie_on_the_largest_object_and_off_all(shape):
    height, width = shape
    boxes = np.array([[0, 0, 10, 10], [30, 5, 60, 50], [5, 40, 25, 58]], dtype=np.float32)
    on, off = pick_points(boxes, shape) * (width, height)
    np.testing.assert_allclose(on, (45, 27.5), rtol=1e-6)
    inside = (boxes[:, :2] <= off).all(1) & (off <= boxes[:, 2:]).all(1)
    assert not inside.any()
    assert (off > 0).all()
    assert (off < (width, height)).all()


def test_kinds_of_masks_are_drawn_without_touching_the_random_state(tmp_path):
    before = np.random.get_state()[1].copy()
    image = np.full((64, 64, 3), 90, np.uint8)
    first = draw_mask_kinds(image, (8, 8), tmp_path / 'a.png', count=2)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    again = draw_mask_kinds(image, (8, 8), tmp_path / 'b.png', count=2)
    other = draw_mask_kinds(image, (8, 8), tmp_path / 'c.png', count=2, seed=1)
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
    with Image.open(first) as drawn:
        assert drawn.height > 400


def test_masks_of_patches_are_left_out_at_pixel_resolution(tmp_path):
    image = np.full((64, 64, 3), 90, np.uint8)
    with (
        Image.open(draw_mask_kinds(image, (8, 8), tmp_path / 'a.png', count=2)) as four,
        Image.open(draw_mask_kinds(image, (64, 64), tmp_path / 'b.png', count=2)) as two,
    ):
        assert two.height * 2 == four.height

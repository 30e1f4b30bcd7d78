"""The pictures of a run."""

import numpy as np
import pytest

from mmdssl.visualization.run_pictures import pick_points


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

import numpy as np
import pytest

from mmdssl.datasets.transforms.canvas import ArrayCanvas, BitCanvas, make_canvas


@pytest.mark.parametrize('kind', [BitCanvas, ArrayCanvas])
@pytest.mark.parametrize(('height', 'width'), [(14, 14), (3, 17), (1, 1), (5, 8)])
def test_canvas_equals_an_array_after_any_sequence_of_rectangles(kind, height, width):
    rng = np.random.default_rng(0)
    canvas, want = kind(height, width), np.zeros((height, width), bool)
    for _ in range(200):
        left, right = np.sort(rng.integers(0, width + 1, 2)).tolist()
        top, bottom = np.sort(rng.integers(0, height + 1, 2)).tolist()
        part = want[top:bottom, left:right]
        assert canvas.count(left, top, right, bottom) == part.sum()
        cut = rng.random() < 0.5
        (canvas.cut if cut else canvas.restore)(left, top, right, bottom)
        part[:] = cut
        np.testing.assert_array_equal(canvas.to_array(), want)
    assert canvas.to_array().dtype == bool


def test_array_of_a_canvas_can_be_written_to():
    mask = make_canvas(14, 14).to_array()
    mask[0, 0] = True
    assert not make_canvas(14, 14).to_array().any()


def test_patch_grids_are_bits_and_images_are_arrays():
    assert isinstance(make_canvas(14, 14), BitCanvas)
    assert isinstance(make_canvas(224, 224), ArrayCanvas)

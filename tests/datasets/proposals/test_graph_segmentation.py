import numpy as np
import pytest

from mmdssl.datasets.decode import decode_image
from tests.datasets.proposals.photos import photo

pytest.importorskip('numba')
segmentation = pytest.importorskip('skimage.segmentation')

from mmdssl.datasets.proposals.graph_segmentation import graph_segments  # noqa: E402


def reference(image, **settings):
    return segmentation.felzenszwalb(image / 255.0, **settings)


@pytest.mark.parametrize(
    'settings',
    [
        dict(scale=300, sigma=0.9, min_size=100),
        dict(scale=50, sigma=0.5, min_size=30),
        dict(scale=1, sigma=0.8, min_size=1),
        dict(scale=1000, sigma=2.0, min_size=700),
    ],
)
def test_labels_are_scikit_images(settings):
    for seed in range(4):
        image = photo(seed)
        labels = graph_segments(image, **settings)
        np.testing.assert_array_equal(labels, reference(image, **settings))
        assert labels.dtype == np.int64


def test_flat_and_narrow_pictures():
    settings = dict(scale=300, sigma=0.9, min_size=10)
    assert not graph_segments(np.full((12, 9, 3), 80, np.uint8), **settings).any()
    for shape in (1, 40, 3), (40, 1, 3), (1, 1, 3):
        image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        np.testing.assert_array_equal(
            graph_segments(image, **settings).ravel(), reference(image, **settings).ravel()
        )


def test_no_segment_is_smaller_than_it_may_be():
    labels = graph_segments(photo(5), scale=30, sigma=0.5, min_size=60)
    assert labels.max() > 5
    assert np.bincount(labels.ravel()).min() >= 60


def test_labels_of_photos_are_scikit_images(shared):
    settings = dict(scale=300, sigma=0.9, min_size=100)
    files = sorted(shared('coco_mini/val2017').glob('*.jpg'))[:40:8]
    assert files
    for file in files:
        image = decode_image(file)
        np.testing.assert_array_equal(
            graph_segments(image, **settings), reference(image, **settings)
        )

import numpy as np
import pytest

from mmdssl.datasets.decode import decode_image
from mmdssl.datasets.proposals.binary_patterns import binary_patterns
from tests.datasets.proposals.photos import photo

feature = pytest.importorskip('skimage.feature')


def pictures():
    rng = np.random.default_rng(0)
    yield 'photo-like', photo(0)[..., 0]
    yield 'noise', rng.integers(0, 256, (37, 53), dtype=np.uint8)
    yield (
        'few levels, so that many sides are equal',
        rng.integers(0, 3, (300, 400)).astype(np.uint8),
    )
    yield 'ramps', (np.add.outer(np.arange(200), 2 * np.arange(300)) % 256).astype(np.uint8)
    yield 'flat', np.full((64, 700), 201, np.uint8)
    yield 'black', np.zeros((9, 9), np.uint8)
    yield 'one pixel', np.full((1, 1), 7, np.uint8)


@pytest.mark.parametrize(('name', 'channel'), [pytest.param(*p, id=p[0]) for p in pictures()])
def test_codes_are_those_of_scikit_image(name, channel):
    want = feature.local_binary_pattern(channel, 8, 1.0)
    np.testing.assert_array_equal(binary_patterns(channel), want)


def test_codes_of_photos_are_those_of_scikit_image(shared):
    for number in ('009', '359'):
        image = decode_image(shared(f'coco_mini/train2017/000000000{number}.jpg'))
        for c in range(3):
            want = feature.local_binary_pattern(image[..., c], 8, 1.0)
            np.testing.assert_array_equal(binary_patterns(image[..., c]), want)

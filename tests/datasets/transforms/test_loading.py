"""`LoadImage`: RGB pixels and shapes, and a check that boxes fit the image."""

import numpy as np
import pytest

from mmdssl.datasets.transforms import LoadImage
from tests.datasets.image_files import alpha, picture, save, turned_exif


@pytest.fixture
def file(tmp_path):
    def write(data):
        path = tmp_path / 'image'
        path.write_bytes(data)
        return str(path)

    return write


def test_image_is_rgb_with_shapes(file):
    results = LoadImage()(dict(img_path=file(save(picture(), 'PNG')), sample_idx=3))
    np.testing.assert_array_equal(results['img'], picture())
    assert results['img_shape'] == results['ori_shape'] == (48, 64)
    assert results['sample_idx'] == 3


def test_ground_under_transparent_pixels_can_be_chosen(file):
    path = file(save(np.dstack([picture(), alpha()]), 'PNG'))
    assert (LoadImage(background=7)(dict(img_path=path))['img'][:, 40:] == 7).all()
    with pytest.raises(ValueError, match=r'0\.\.255, got 256'):
        LoadImage(background=256)


def test_turned_image_does_not_take_boxes_of_the_unturned_one(file):
    path = file(save(picture(), 'JPEG', exif=turned_exif()))
    annotated = dict(img_path=path, ann_shape=(48, 64))
    with pytest.raises(ValueError, match=r'64 x 48.*48 x 64.*exif=False'):
        LoadImage()(dict(annotated))
    assert LoadImage(exif=False)(dict(annotated))['img_shape'] == (48, 64)
    with pytest.raises(ValueError, match='correct the annotation file'):
        LoadImage()(dict(img_path=path, ann_shape=(10, 10)))

"""Views of n channels in floating point: geometry as of photos, values in [0, 1], packed whole."""

import cv2
import numpy as np
import pytest
import torch

from mmdssl.datasets.pipeline import build_pipeline
from mmdssl.datasets.transforms import LoadImage
from mmdssl.datasets.transforms.views import resize_image

RNG = np.random.default_rng(0)


@pytest.mark.parametrize('interpolation', ['bicubic', 'bilinear', 'nearest'])
@pytest.mark.parametrize('size', [(24, 40), (90, 130)])
def test_floating_point_is_resized_as_uint8(interpolation, size):
    # Smooth, and far from black and white: the kernel for uint8 clips between its two passes.
    image = cv2.blur(RNG.integers(0, 256, (60, 80, 5), np.uint8), (7, 7))
    whole = resize_image(image, size, interpolation).astype(float)
    exact = 255 * resize_image((image / 255).astype(np.float32), size, interpolation)
    assert np.abs(whole - exact).max() <= 1.5  # rounding, after either pass
    by_channel = [resize_image(image[..., c : c + 1], size, interpolation) for c in range(5)]
    np.testing.assert_allclose(whole, np.concatenate(by_channel, axis=2), atol=1)


def test_bicubic_weights_do_not_leave_the_range():
    edge = np.zeros((16, 16, 5), np.float32)
    edge[:, 8:] = 1
    found = resize_image(edge, (64, 64))
    assert found.dtype == np.float32
    assert (found.min(), found.max()) == (0, 1)


@pytest.mark.parametrize('dtype', ['float32', 'uint8'])
def test_files_become_packed_views(dtype, tmp_path):
    values = RNG.integers(0, 4096, (5, 40, 48)).astype(np.uint16)
    np.save(tmp_path / 'a.npy', values)
    steps = [dict(type='ResizeWithBoxes', size=(40, 48)), dict(type='RandomFlipWithBoxes', prob=1)]
    pipeline = build_pipeline(
        [
            dict(type='LoadImage', channels=5, scale=4095, dtype=dtype),
            dict(type='MultiViewWithBoxes', num_views=[2], pipelines=[steps]),
            dict(type='PackViews'),
        ]
    )
    view = pipeline(dict(img_path=str(tmp_path / 'a.npy')))['inputs']['views'][1]
    assert view.shape == (5, 40, 48)
    assert view.dtype == getattr(torch, dtype)
    unit = view.numpy() / (255 if dtype == 'uint8' else 1)
    np.testing.assert_allclose(unit, values[:, :, ::-1] / 4095, atol=0.6 / 255)


def test_an_image_of_n_channels_must_have_its_annotated_size(tmp_path):
    np.save(tmp_path / 'a.npy', np.zeros((5, 4, 6), np.uint16))
    results = dict(img_path=str(tmp_path / 'a.npy'), ann_shape=(6, 4))
    with pytest.raises(ValueError, match='height x width 4 x 6, but its annotation says 6 x 4'):
        LoadImage(channels=5, scale=1)(results)


@pytest.mark.parametrize(
    ('settings', 'sentence'),
    [
        (dict(channels=5), 'channels=5 and scale=None go together'),
        (dict(scale=5), 'channels=None and scale=5 go together'),
        (dict(dtype='uint8'), 'need channels and scale'),
    ],
)
def test_settings_that_do_nothing_are_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        LoadImage(**settings)

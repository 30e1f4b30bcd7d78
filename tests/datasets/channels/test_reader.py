"""Every channel comes in [0, 1], whatever range it was stored in, and without holes."""

import numpy as np
import pytest

from mmdssl.datasets.channels.reader import ChannelReader, valid_samples
from mmdssl.datasets.decode import ImageDecodeError

VALUES = np.random.default_rng(0).integers(0, 4096, (2, 6, 8)).astype(np.uint16)


def read(tmp_path, values, **settings):
    np.save(tmp_path / 'a.npy', values)
    return ChannelReader(channels=len(values), **settings)(tmp_path / 'a.npy')


def test_twelve_bits_fill_the_range(tmp_path):
    image = read(tmp_path, VALUES, scale=4095)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, VALUES.transpose(1, 2, 0) / 4095, rtol=1e-6)


def test_a_range_a_channel_and_what_lies_beyond_is_clipped(tmp_path):
    image = read(tmp_path, VALUES, scale=[(0, 2000), (1000, 3000)])
    first, second = image[..., 0], image[..., 1]
    np.testing.assert_allclose(first, np.minimum(VALUES[0] / 2000, 1), rtol=1e-6)
    wanted = ((VALUES[1].astype(float) - 1000) / 2000).clip(0, 1)
    np.testing.assert_allclose(second, wanted, atol=1e-6)
    assert first.max() == 1
    assert second.min() == 0


def test_uint8_is_the_same_in_256_steps(tmp_path):
    fine = read(tmp_path, VALUES, scale=(100, 4000))
    coarse = read(tmp_path, VALUES, scale=(100, 4000), dtype='uint8')
    assert coarse.dtype == np.uint8
    assert np.abs(coarse / 255 - fine).max() <= 0.5 / 255 + 1e-6


def test_small_differences_of_large_numbers_are_kept(tmp_path):
    heights = 4e6 + np.linspace(0, 1, 12).reshape(1, 3, 4)  # metres, float64
    image = read(tmp_path, heights, scale=(4e6, 4e6 + 1))
    np.testing.assert_allclose(image[..., 0], heights[0] - 4e6, atol=1e-6)


@pytest.mark.parametrize('hole', [np.nan, np.inf, -np.inf, -9999.0])
def test_holes_get_the_mean_of_their_channel(hole, tmp_path):
    values = VALUES.astype(np.float32)
    values[0, :2] = hole
    image = read(tmp_path, values, scale=4095, nodata=-9999)
    mean = VALUES[0, 2:].mean() / 4095
    np.testing.assert_allclose(image[:2, :, 0], mean, rtol=1e-5)
    np.testing.assert_allclose(image[..., 1], VALUES[1] / 4095, rtol=1e-6)
    assert np.isfinite(image).all()


def test_an_image_without_a_value_is_a_bad_one_and_a_channel_without_is_black(tmp_path):
    values = VALUES.astype(np.float32)
    values[0] = np.nan
    assert not read(tmp_path, values, scale=4095)[..., 0].any()
    with pytest.raises(ImageDecodeError, match='none of its samples has a value'):
        read(tmp_path, values * np.nan, scale=4095)


def test_no_data_is_compared_in_the_type_of_the_file():
    lowest = np.finfo(np.float32).min
    values = np.array([lowest, 1], np.float32)
    assert valid_samples(values, -3.4028234663852886e38).tolist() == [False, True]
    # 65536 is no value of 16 bits, and not 0.
    assert valid_samples(np.array([0, 1], np.uint16), 65536.0) is None


@pytest.mark.parametrize(
    ('settings', 'sentence'),
    [
        (dict(channels=0, scale=1), 'channels=0: give at least 1'),
        (dict(channels=True, scale=1), 'channels=True: give the number'),
        (dict(channels=2, scale=(5, 5)), r'scale=\(5, 5\): give the value that becomes white'),
        (dict(channels=2, scale=[(0, 1)] * 3), 'a pair for each of the 2 channels'),
        (dict(channels=2, scale='white'), "scale='white'"),
        (dict(channels=2, scale=-4), 'scale=-4'),
        (dict(channels=2, scale=1, dtype='float64'), "dtype='float64'"),
        (dict(channels=2, scale=1, axis='middle'), "channels_axis='middle'"),
    ],
)
def test_a_setting_of_no_sense_is_said(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        ChannelReader(**settings)

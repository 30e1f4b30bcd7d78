"""A picture of n channels differs from place to place as the image does."""

import numpy as np
import pytest

from mmdssl.datasets.channels import ChannelReader, FalseColours, false_colours

RANDOM = np.random.default_rng(0)


def smooth(channels, components):
    """Pixels (12, 14, C) around the middle, that vary along so many directions."""
    basis = np.linalg.qr(RANDOM.normal(size=(channels, channels)))[0][:components]
    where = RANDOM.uniform(-0.12, 0.12, (12, 14, components))
    return (0.5 + where @ basis).astype(np.float32)


def distances(pixels):
    flat = pixels.reshape(-1, pixels.shape[2]).astype(float)
    return np.linalg.norm(flat[:, None] - flat[None], axis=2)


@pytest.mark.parametrize('channels', [2, 4, 5, 13])
def test_pixels_differ_as_much_as_in_the_image(channels):
    """Up to three directions of variation are kept whole: a rotation, in units of sqrt(3 / C)."""
    image = smooth(channels, min(channels, 3))
    picture = false_colours(image)
    assert picture.shape == (12, 14, 3)
    assert picture.dtype == np.uint8
    wanted = distances(image) * 255 * np.sqrt(3 / channels)
    # Half a grey level of rounding in each of three colours, at both ends.
    assert np.abs(distances(picture) - wanted).max() <= np.sqrt(3)
    assert wanted.max() > 30


def test_what_varies_most_is_kept_of_more_directions():
    """The picture has the three largest variances of all that the image has."""
    image = smooth(6, 6) + RANDOM.normal(size=(12, 14, 1)).astype(np.float32) * 0.05
    flat = image.reshape(-1, 6)
    wanted = np.sort(np.linalg.svd(flat - flat.mean(0), compute_uv=False) ** 2)[::-1]
    shown = false_colours(image).reshape(-1, 3) / 255
    found = np.sort(np.linalg.svd(shown - shown.mean(0), compute_uv=False) ** 2)[::-1]
    np.testing.assert_allclose(found, wanted[:3] * 3 / 6, rtol=0.02)


@pytest.mark.parametrize('channels', [1, 2, 5])
def test_equal_channels_are_the_grey_photo(channels):
    grey = RANDOM.integers(0, 256, (9, 7, 1)).astype(np.uint8)
    picture = false_colours(np.repeat(grey, channels, axis=2))
    assert np.abs(picture.astype(int) - grey).max() <= 1
    flat = np.full((4, 4, channels), 0.4, np.float32)
    assert np.abs(false_colours(flat).astype(int) - 102).max() <= 1


def test_three_channels_and_chosen_ones_are_as_they_are():
    image = RANDOM.integers(0, 256, (5, 6, 5)).astype(np.uint8)
    np.testing.assert_array_equal(false_colours(image[..., :3]), image[..., :3])
    np.testing.assert_array_equal(false_colours(image, (5, 1, 2)), image[..., [4, 0, 1]])
    np.testing.assert_array_equal(false_colours(image / 255, (5, 1, 2)), image[..., [4, 0, 1]])


@pytest.mark.parametrize('colours', [(1, 2), (0, 1, 2), (1, 2, 6), (1, 2, 2.5)])
def test_other_choices_are_refused(colours):
    with pytest.raises(ValueError, match='each from 1 to 5'):
        FalseColours(reader=ChannelReader(channels=5, scale=1), colours=colours)


def test_parameters_make_the_same_pictures(tmp_path):
    values = RANDOM.integers(0, 4096, (8, 9, 4)).astype(np.uint16)
    np.save(tmp_path / 'a.npy', values)
    reader = ChannelReader(channels=4, scale=[(0, 4000), (10, 4095), (0, 9), (5, 6)], axis='last')
    one = FalseColours(reader=reader, colours=(4, 2, 2))
    other = FalseColours.of({'producer': 'numba', **one.parameters()})
    assert other.parameters() == one.parameters()
    np.testing.assert_array_equal(other(tmp_path / 'a.npy'), one(tmp_path / 'a.npy'))
    assert other.shape(tmp_path / 'a.npy') == (8, 9)
    assert FalseColours.of(dict(producer='numba')) is None

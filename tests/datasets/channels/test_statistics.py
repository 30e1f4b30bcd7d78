"""Range, mean and deviation are those of the samples, kept with the list, and measured anew."""

import json
import os

import numpy as np
import pytest

from mmdssl.datasets import ImageFolder
from mmdssl.datasets.channels import statistics

LOAD = [dict(type='LoadImage')]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'mmdssl' / 'image_lists'


def stack(count=6, channels=2, dtype=np.uint16):
    draws = np.random.default_rng(1).gamma(2, 400, (count, channels, 40, 50))
    return (draws * np.arange(1, channels + 1)[:, None, None]).astype(dtype)


@pytest.fixture
def folder(tmp_path, cache):
    values = stack()
    (tmp_path / 'images').mkdir()
    for number, one in enumerate(values):
        np.save(tmp_path / 'images' / f'{number}.npy', one)
    return tmp_path / 'images', values


def test_they_are_those_of_all_samples(folder):
    root, values = folder
    found = ImageFolder(data_root=root, channels=2).statistics
    for channel in range(2):
        own = values[:, channel].astype(float).ravel()
        low, high = np.percentile(own, [0.1, 99.9])
        assert found.scale[channel] == pytest.approx((low, high), rel=1e-4, abs=0.01)
        unit = 255 * ((own - low) / (high - low)).clip(0, 1)
        assert found.mean[channel] == pytest.approx(unit.mean(), abs=0.02)
        assert found.std[channel] == pytest.approx(unit.std(), abs=0.02)
    assert (found.images, found.dtype) == (6, 'uint16')
    assert 'samples of uint16; by 6 images' in str(found)


def test_images_come_in_that_range(folder):
    root, values = folder
    dataset = ImageFolder(data_root=root, channels=2, pipeline=LOAD)
    low, high = dataset.statistics.scale[1]
    wanted = ((values[3, 1] - low) / (high - low)).clip(0, 1)
    np.testing.assert_allclose(dataset[3]['img'][..., 1], wanted, atol=1e-5)
    # Half of a 16th of the range would be dark.
    assert dataset[3]['img'].mean() > 0.15


def test_a_stated_range_is_taken_and_still_measured_in(folder):
    root, values = folder
    dataset = ImageFolder(data_root=root, channels=2, scale=8000, pipeline=LOAD)
    np.testing.assert_allclose(dataset[0]['img'][..., 0], values[0, 0] / 8000, rtol=1e-5)
    unit = 255 * (values[:, 0] / 8000).clip(0, 1)
    assert dataset.statistics.mean[0] == pytest.approx(unit.mean(), abs=0.02)


def test_eight_bits_have_their_own_range(tmp_path, cache):
    for number, one in enumerate(stack(dtype=np.uint8)):
        np.save(tmp_path / f'{number}.npy', one)
    assert ImageFolder(data_root=tmp_path, channels=2).statistics.scale == ((0, 255), (0, 255))


def test_they_are_kept_beside_the_list_and_used_again(folder, cache, monkeypatch):
    root, _ = folder
    first = ImageFolder(data_root=root, channels=2).statistics
    (kept,) = cache.glob('*-channels-*.json')
    assert not list(cache.glob('*.tmp'))
    monkeypatch.setattr(statistics, 'read_samples', None)  # nothing is read
    assert ImageFolder(data_root=root, channels=2).statistics == first
    monkeypatch.undo()
    monkeypatch.setenv('XDG_CACHE_HOME', str(cache.parents[1]))
    kept.write_text('{"key": 1')
    assert ImageFolder(data_root=root, channels=2).statistics == first  # damaged: made anew
    assert json.loads(kept.read_text())['images'] == 6


def test_other_contents_other_lists_and_other_settings_are_measured_anew(folder):
    root, values = folder
    first = ImageFolder(data_root=root, channels=2).statistics
    assert ImageFolder(data_root=root, channels=2, max_images=3).statistics.images == 3
    assert ImageFolder(data_root=root, channels=2, nodata=400).statistics != first
    np.save(root / '0.npy', values[0] * 3)
    os.utime(root / '0.npy', ns=(1, 1))  # within a tick of the clock: the name is the same
    assert ImageFolder(data_root=root, channels=2).statistics != first


def test_bad_images_of_the_sample_are_passed_over_and_others_take_their_place(folder):
    root, values = folder
    np.save(root / '2.npy', values[2, :1])
    dataset = ImageFolder(data_root=root, channels=2, pipeline=LOAD)
    assert dataset.statistics.images == 5
    with pytest.warns(UserWarning, match=r'2\.npy cannot be read \(it has 1 channels'):
        assert dataset[2]['sample_idx'] != 2


def test_where_none_can_be_read_the_first_is_named(folder):
    root, _ = folder
    with pytest.raises(ValueError, match=r'none of the 6 images .*0\.npy: it has 2 channels'):
        ImageFolder(data_root=root, channels=4)


def test_a_constant_channel_and_holes_do_no_harm(tmp_path, cache):
    values = stack(dtype=np.float32)
    values[:, 1] = 7
    values[:, 0, :10] = np.nan
    for number, one in enumerate(values):
        np.save(tmp_path / f'{number}.npy', one)
    found = ImageFolder(data_root=tmp_path, channels=2).statistics
    assert found.scale[1] == (7, 8)
    assert found.std[1] == 2
    own = values[:, 0, 10:].ravel()
    assert found.scale[0] == pytest.approx(np.percentile(own, [0.1, 99.9]), rel=1e-3)


@pytest.mark.parametrize('setting', [dict(scale=1), dict(dtype='uint8'), dict(nodata=0)])
def test_settings_of_channels_need_channels(setting, folder):
    with pytest.raises(ValueError, match='set channels as well'):
        ImageFolder(data_root=folder[0], extensions=('.npy',), **setting)

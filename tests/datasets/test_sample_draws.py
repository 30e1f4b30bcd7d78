"""Draws of samples: functions of their key, whoever makes them, when and where."""

import pickle
import random

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset

from mmdssl.datasets import ImageFolder
from mmdssl.datasets.sample_draws import (
    SampleFetch,
    SampleKey,
    kept_generators,
    restart_sample,
    sample_draws,
    sample_stream,
)
from mmdssl.datasets.transforms.random_streams import random_source


def draw():
    """A number from each generator, and one from each of two streams."""
    return (
        random.random(),
        np.random.rand(),
        torch.rand(()).item(),
        float(random_source('a').random()),
        float(random_source('b').random()),
    )


def drawn(*entropy):
    with sample_draws(entropy):
        return draw()


def test_the_key_alone_decides_and_each_of_its_numbers_counts():
    first = drawn(3, 0, 5)
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    drawn(9, 9, 9)
    assert drawn(3, 0, 5) == first
    keys = [(3, 0, 5), (3, 0, 6), (3, 1, 5), (4, 0, 5), (0, 3, 5), (3, 0, 5, 0), (-3, 0, 5)]
    values = np.array([drawn(*key) for key in keys])
    assert len(np.unique(values)) == values.size  # across generators as well


def test_streams_do_not_depend_on_who_draws_first_nor_on_the_global_generators():
    with sample_draws((1, 2)):
        a, b = random_source('a').random(3), random_source('b').random(3)
    with sample_draws((1, 2)):
        np.random.rand(7)
        other_b, other_a = random_source('b').random(3), random_source('a').random(3)
    np.testing.assert_array_equal(a, other_a)
    np.testing.assert_array_equal(b, other_b)


def test_another_attempt_draws_the_same():
    with sample_draws((1,)):
        first = draw()
        draw()
        restart_sample()
        assert draw() == first


def test_without_a_sample_streams_go_on():
    restart_sample()
    assert sample_stream('a') is None
    assert random_source('a').random() != random_source('a').random()


def test_values_are_uniform_over_neighbouring_keys():
    values = np.array([drawn(0, epoch, index) for epoch in range(8) for index in range(250)])
    for column in values.T:
        counts = np.histogram(column, 20, (0, 1))[0]
        assert ((counts - 100) ** 2 / 100).sum() < 45  # chi-square, 19 degrees: p = 7e-4
    correlation = np.corrcoef(values.T) - np.eye(values.shape[1])
    assert np.abs(correlation).max() < 0.1
    assert abs(np.corrcoef(values[:-1, 1], values[1:, 1])[0, 1]) < 0.1


def test_a_key_is_an_index_and_survives_the_way_to_a_worker():
    key = pickle.loads(pickle.dumps(SampleKey(5, (1, 2))))
    assert (key, key.entropy, [*range(9)][key]) == (5, (1, 2), 5)


class Draws(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        assert type(index) is int  # nothing that could end up in a batch
        return (index, *draw())


def test_fetching_leaves_the_training_processs_generators_alone():
    fetch = SampleFetch(Draws())
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    want = draw()[:3]
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    got = fetch([SampleKey(2, (7, 2)), SampleKey(0, (7, 0))])
    assert draw()[:3] == want
    assert got == [(2, *drawn(7, 2)), (0, *drawn(7, 0))]


def test_plain_indices_are_loaded_as_ever():
    with kept_generators():
        np.random.seed(1)
        (sample,) = SampleFetch(Draws())([3])
        np.random.seed(1)
        assert sample[2] == np.random.rand()


class Jitter:
    def __init__(self):
        self.calls = 0

    def __call__(self, results):
        self.calls += 1
        return {**results, 'draw': np.random.rand()}


@pytest.fixture
def photos(tmp_path):
    for number in range(4):
        Image.new('RGB', (8, 8)).save(tmp_path / f'{number}.png')
    (tmp_path / '1.png').write_bytes(b'')
    return tmp_path


def test_the_substitute_of_a_bad_image_draws_the_same_known_as_bad_or_not(photos, tmp_path):
    """A transform before the reading has drawn already when the image turns out to be bad."""
    dataset = ImageFolder(
        data_root=str(photos),
        pipeline=[Jitter(), dict(type='LoadImage'), Jitter()],
        bad_list=tmp_path / 'bad.txt',
    )
    fetch = SampleFetch(dataset)
    with pytest.warns(UserWarning, match='cannot be read'):
        (found,) = fetch([SampleKey(1, (0, 1))])
    (known,) = fetch([SampleKey(1, (0, 1))])
    assert found['img_path'] == known['img_path'] != str(photos / '1.png')
    assert found['draw'] == known['draw']

"""Which key an index gets, and that it reaches the sample through any loader."""

import itertools
import random

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, Sampler

from mmdssl.datasets.sample_keys import key_samples
from mmdssl.datasets.transforms.random_streams import random_source

SIZE = 10


class Draws(Dataset):
    """Index, and a draw of every generator."""

    def __len__(self):
        return SIZE

    def __getitem__(self, index):
        stream = float(random_source('a').random())
        return index, random.random(), np.random.rand(), torch.rand(()).item(), stream

    def get_data_info(self, index):
        return dict(wide=index % 3 > 0)


def sampler_of(kind, dataset, rank=0, world_size=1, seed=5):
    """mmengine's sampler as another process of a distributed run would have it."""
    sampler = kind(dataset, shuffle=True, seed=seed)
    sampler.rank, sampler.world_size = rank, world_size
    if kind is DefaultSampler:
        sampler.num_samples = -(-SIZE // world_size)
        sampler.total_size = sampler.num_samples * world_size
    return sampler


class Buckets(BatchSampler):
    """Two kinds of images in separate batches, as mmdet's for aspect ratios."""

    def __iter__(self):
        buckets = {}
        for index in self.sampler:
            kind = self.sampler.dataset.get_data_info(index)['wide']
            buckets.setdefault(kind, []).append(index)
            if len(buckets[kind]) == self.batch_size:
                yield buckets.pop(kind)
        yield from buckets.values()


def loader_of(kind=DefaultSampler, *, batch_size=2, buckets=False, place=(0, 1), seed=5, **options):
    dataset = Draws()
    sampler = sampler_of(kind, dataset, *place) if isinstance(kind, type) else kind
    batches = (Buckets if buckets else BatchSampler)(sampler, batch_size, drop_last=False)
    if options.get('num_workers'):
        options['multiprocessing_context'] = 'fork'
    loader = DataLoader(dataset, batch_sampler=batches, collate_fn=list, **options)
    return loader, key_samples(loader, seed=seed, rank=place[0], world_size=place[1])


def epochs(loader, keyed, count=3):
    """Samples of ``count`` epochs, in order."""
    found = []
    for epoch in range(count):
        loader.batch_sampler.sampler.set_epoch(epoch)
        keyed.set_pass(epoch)
        found.append([sample for batch in loader for sample in batch])
    return found


def endless(loader, samples):
    batches = itertools.chain.from_iterable(iter(loader))
    return list(itertools.islice(batches, samples))


WORKERS = [
    dict(num_workers=1),
    dict(num_workers=2),
    dict(num_workers=2, persistent_workers=True),
    dict(num_workers=2, prefetch_factor=4),
]


@pytest.mark.parametrize('workers', WORKERS)
def test_workers_change_no_sample_of_any_epoch(workers):
    torch.manual_seed(1)
    plain = epochs(*loader_of())
    torch.manual_seed(2)
    assert epochs(*loader_of(**workers)) == plain
    values = np.array(plain)[..., 1:]
    assert len(np.unique(values)) == values.size  # no epoch repeats another
    assert not np.isin(np.array(epochs(*loader_of(seed=6)))[..., 1:], values).any()


@pytest.mark.parametrize('workers', WORKERS)
def test_workers_change_no_sample_of_an_endless_order(workers):
    plain = endless(loader_of(InfiniteSampler)[0], 34)
    assert endless(loader_of(InfiniteSampler, **workers)[0], 34) == plain
    assert len({sample[1:] for sample in plain}) == 34


@pytest.mark.parametrize('buckets', [False, True])
def test_batches_of_another_size_or_kind_hold_the_same_samples(buckets):
    want = [sorted(epoch) for epoch in epochs(*loader_of())]
    got = epochs(*loader_of(batch_size=3, buckets=buckets))
    assert [sorted(epoch) for epoch in got] == want
    endless_want = sorted(endless(loader_of(InfiniteSampler)[0], 30))
    assert sorted(endless(loader_of(InfiniteSampler, batch_size=5)[0], 30)) == endless_want


def test_processes_share_out_the_samples_of_one():
    want = [sorted(epoch) for epoch in epochs(*loader_of())]
    parts = [epochs(*loader_of(place=(rank, 2))) for rank in range(2)]
    assert [sorted(one + other) for one, other in zip(*parts, strict=True)] == want
    want = sorted(endless(loader_of(InfiniteSampler)[0], 40))
    parts = [endless(loader_of(InfiniteSampler, place=(r, 4))[0], 10) for r in range(4)]
    assert sorted(itertools.chain(*parts)) == want


class Balanced(Sampler):
    """Shows some images several times a pass."""

    def __init__(self):
        self.dataset = None

    def __iter__(self):
        return iter([1, 2, 1, 1, 3])

    def __len__(self):
        return 5


def test_an_image_shown_several_times_a_pass_looks_different_each_time():
    loader, _ = loader_of(Balanced())
    samples = [sample for _ in range(2) for batch in loader for sample in batch]
    assert len({sample[1:] for sample in samples}) == 10
    # And on every process, as such a sampler may show it on several.
    other, _ = loader_of(Balanced(), place=(1, 2))
    assert not {s[1:] for s in samples} & {s[1:] for batch in other for s in batch}


@pytest.mark.parametrize('buckets', [False, True])
@pytest.mark.parametrize('workers', [0, 2])
def test_skipped_batches_are_those_that_were_shown(buckets, workers):
    whole, keyed = loader_of(buckets=buckets)
    keyed.set_pass(4)
    batches = list(whole)
    rest, keyed = loader_of(buckets=buckets, num_workers=workers)
    keyed.set_pass(4)
    keyed.skip(3)
    assert list(rest) == batches[3:]
    keyed.set_pass(4)
    assert list(rest) == batches  # once only


@pytest.mark.parametrize('kind', [DefaultSampler, InfiniteSampler])
@pytest.mark.parametrize('done', [3, 7, 17])
def test_forwarding_goes_on_as_after_so_many_batches(kind, done):
    def batches(loader, keyed, count):
        """As the loop by iterations takes them."""
        found = []
        passes = keyed.forward(start) if (start := len(skipped)) else 0
        while len(found) < count:
            loader.batch_sampler.sampler.set_epoch(passes)
            found += itertools.islice(loader, count - len(found))
            passes += 1
        return found

    skipped = []
    want = batches(*loader_of(kind), 20)
    skipped = want[:done]
    assert batches(*loader_of(kind), 20 - done) == want[done:]


def test_a_second_run_with_the_same_loader_starts_again():
    loader, keyed = loader_of()
    first = epochs(loader, keyed, 2)
    again = key_samples(loader, seed=5)
    assert epochs(loader, again, 2) == first


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(3))


def test_what_has_no_indices_is_left_as_it_is():
    loader = DataLoader(Stream())
    assert key_samples(loader, seed=0) is None
    assert [batch.item() for batch in loader] == [0, 1, 2]
    pairs = DataLoader(Pairs(), sampler=[(0, 1), (1, 0)], batch_size=None)
    assert key_samples(pairs, seed=0) is None


class Pairs(Dataset):
    """Indexed by a video and a frame."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return index


def test_an_index_that_is_no_number_passes_through():
    loader = DataLoader(Pairs(), sampler=[(0, 1), (1, 0)], batch_size=2, collate_fn=list)
    key_samples(loader, seed=0)
    assert list(loader) == [[(0, 1), (1, 0)]]

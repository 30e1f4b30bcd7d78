"""Send the pass with the index: what a loader orders is what its samples' draws are made from.

A worker's copy of a data set does not learn which epoch it is. The sampler, in the process that
trains, knows: so each index leaves it as a `SampleKey` of (seed, pass, index). Not of the position
within the pass: batch size, number of processes and bucketing by shape leave a sample's draws
alone.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from numbers import Integral
from typing import Any

from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, Sampler

from mmdssl.datasets.sample_draws import SampleFetch, SampleKey

__all__ = ['KeyedBatches', 'key_samples']


def key_samples(
    loader: DataLoader, *, seed: int, rank: int = 0, world_size: int = 1
) -> 'KeyedBatches | None':
    """Make all draws of a loader's samples functions of (seed, pass, index), in place.

    Args:
        loader: A loader whose iteration has not begun.
        seed: Of the run, common to all processes.
        rank: Number of this process.
        world_size: Number of processes.

    Returns:
        The batches' order, which can be told the pass and be forwarded; None for a loader of an
        iterable data set or without batches, which has no indices to key and stays as it is.
    """
    batches = loader.batch_sampler
    if isinstance(batches, KeyedBatches):  # of an earlier run with this loader
        batches = batches.batches
    if batches is None or isinstance(loader.dataset, IterableDataset):
        return None
    size = len(loader.dataset)  # type: ignore[arg-type]
    keyed = KeyedBatches(batches, seed=seed, rank=rank, world_size=world_size, size=size)
    # The loader refuses another sampler once it is built, because a running iteration would not
    # follow; none is running.
    object.__setattr__(loader, 'batch_sampler', keyed)
    loader.dataset.__getitems__ = SampleFetch(loader.dataset)  # type: ignore[attr-defined]
    return keyed


class KeyedBatches(BatchSampler):
    """A batch sampler's batches, of `SampleKey` instead of plain indices.

    ``sampler``, ``batch_size`` and ``drop_last`` are those of the wrapped one.

    Args:
        batches: The batch sampler. Where it draws from a ``sampler`` (as torch's and mmdet's do),
            indices get their key there, before they are bucketed.
        seed: See `key_samples`, also for ``rank`` and ``world_size``.
        size: Number of samples of the data set.
    """

    def __init__(
        self, batches: Iterable[list[int]], *, seed: int, rank: int, world_size: int, size: int
    ) -> None:
        self.batches = batches
        self.batch_size = getattr(batches, 'batch_size', None)  # type: ignore[assignment]
        self.drop_last = getattr(batches, 'drop_last', False)
        sampler = getattr(batches, 'sampler', None)
        if isinstance(sampler, _KeyedSampler):
            sampler = sampler.sampler
        self.sampler = sampler  # type: ignore[assignment]
        self._keys = _KeyedSampler(sampler, seed, rank, world_size, size)
        if sampler is not None:
            batches.sampler = self._keys  # type: ignore[attr-defined]
        self._skip = 0
        self._epoch: int | None = None

    @property
    def can_forward(self) -> bool:
        """Whether `forward` finds the place of an iteration (and not only within a pass)."""
        return isinstance(self.sampler, (DefaultSampler, InfiniteSampler))

    def set_pass(self, number: int) -> None:
        """Tell the number of the next pass; without it passes are counted from zero."""
        self._keys.passes = number

    def skip(self, batches: int) -> None:
        """Leave out the first ``batches`` of the next pass; nothing is loaded for them."""
        self._skip = batches

    def forward(self, batches: int) -> int:
        """Go on as after ``batches`` of a run by iterations.

        Returns:
            The number of whole passes among them; 0 for an endless sampler.
        """
        passes, rest = 0, batches
        if not self._keys.endless:
            passes, rest = divmod(batches, len(self))
            self._epoch = passes  # set when the pass begins: hooks set that of the run, 0, before
        self.set_pass(passes)
        self.skip(rest)
        return passes

    def __iter__(self) -> Iterator[list[int]]:
        # A generator: a loader with workers asks for two iterators and begins only the second.
        if self._epoch is not None and hasattr(self.sampler, 'set_epoch'):
            self.sampler.set_epoch(self._epoch)
        skip, self._skip, self._epoch = self._skip, 0, None
        order: Iterable[list[int]] = self.batches
        if self.sampler is None:
            order = self._keys.of_batches(self.batches)
        yield from islice(iter(order), skip, None)

    def __len__(self) -> int:
        return len(self.batches)  # type: ignore[arg-type]


class _KeyedSampler(Sampler):
    """A sampler's indices with their keys; all else (``dataset``, ``set_epoch``) is its own."""

    def __init__(self, sampler: Any, seed: int, rank: int, world_size: int, size: int) -> None:
        self.sampler = sampler
        self.passes = 0
        self.endless = isinstance(sampler, InfiniteSampler)
        self._seed, self._rank, self._world_size = seed, rank, world_size
        self._size = max(size, 1)
        # Processes share out one order, so that an index has one owner a pass. Of other samplers
        # that is not known.
        shared = isinstance(sampler, (DefaultSampler, InfiniteSampler))
        self._owner = 0 if shared else rank + 1
        self._position = 0  # indices an endless sampler has given to this process
        self._seen: dict[int, int] = {}

    def __getattr__(self, name: str) -> Any:
        if name == 'sampler':  # not there yet: nothing to ask
            raise AttributeError(name)
        return getattr(self.sampler, name)

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[int]:
        self._seen = {}
        for index in self.sampler:
            yield self._key(index)
        self.passes += 1

    def of_batches(self, batches: Iterable[list[int]]) -> Iterator[list[int]]:
        """The same for whole batches of a batch sampler that shows no sampler."""
        self._seen = {}
        for batch in batches:
            yield [self._key(index) for index in batch]
        self.passes += 1

    def _key(self, index: Any) -> Any:
        if not isinstance(index, Integral):
            return index  # a pair of video and frame, say: as ever
        number = self.passes
        if self.endless:
            number = (self._position * self._world_size + self._rank) // self._size
            self._position += 1
            if number != self.passes:
                self.passes, self._seen = number, {}
        index = int(index)
        # Samplers that balance classes show an image several times a pass, each time differently.
        again = self._seen.get(index, 0)
        self._seen[index] = again + 1
        return SampleKey(index, (self._seed, number, index, again, self._owner))

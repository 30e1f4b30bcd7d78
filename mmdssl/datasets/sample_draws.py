"""What a sample draws is a function of its key alone: the run's seed, the pass and its index.

Generators that live on from sample to sample make the draws depend on who loaded what before:
on the number of workers, on whether they persist, on how far they read ahead, on where a run was
resumed. Here every sample begins with all generators (Python, NumPy, torch and the named streams)
set from its key, so none of that matters. Transforms need not know: those of mmcv, mmdet and mmseg
draw from the same global generators.

The key is hashed (BLAKE2b), so neighbouring passes and indices share nothing.
"""

import os
import random
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info

__all__ = [
    'SampleFetch',
    'SampleKey',
    'kept_generators',
    'restart_sample',
    'sample_draws',
    'sample_stream',
]

_MASK = 0xFFFFFFFFFFFFFFFF  # a seed may be negative or longer than 64 bits
# The digest of the sample that is being made, and the streams it has drawn from. Beside it the
# process: a process forked meanwhile makes no sample.
_sample: tuple[int, bytes] | None = None
_begun: set[str] = set()
_generators: dict[str, np.random.Generator] = {}


class SampleKey(int):
    """Index of a sample that brings what its draws are made from to whoever loads it.

    Wherever an index is expected this is one; samplers that bucket or reorder pass it on.

    Attributes:
        entropy: Integers, the same of which always mean the same draws.
    """

    entropy: tuple[int, ...]

    def __new__(cls, index: int, entropy: tuple[int, ...]) -> 'SampleKey':
        """The index ``index`` with its ``entropy``."""
        key = super().__new__(cls, index)
        key.entropy = entropy
        return key

    def __reduce__(self) -> tuple[Any, ...]:
        return SampleKey, (int(self), self.entropy)


@contextmanager
def sample_draws(entropy: Sequence[int]) -> Iterator[None]:
    """Inside, all draws are those of the sample with this key. Costs about 15 microseconds.

    The global generators are left as the sample leaves them; see :func:`kept_generators`.

    Args:
        entropy: Integers; each, and their order, makes a difference.
    """
    global _sample
    words = struct.pack(f'<{len(entropy)}Q', *(number & _MASK for number in entropy))
    outer, _sample = _sample, (os.getpid(), blake2b(words).digest())
    try:
        restart_sample()
        yield
    finally:
        _sample = outer
        _begun.clear()


def restart_sample() -> None:
    """Begin the present sample's draws again, for another attempt; without a sample do nothing."""
    if _sample is None or _sample[0] != os.getpid():
        return
    digest = _sample[1]
    # 32 bits: NumPy takes longer for more than all else here together, and that of two images of a
    # long run a pair has the same crops by chance hurts nobody.
    np.random.seed(int.from_bytes(digest[:4], 'little'))
    random.seed(int.from_bytes(digest[8:16], 'little'))
    # Not torch.manual_seed: it looks at every GPU, and without one records a traceback each time.
    torch.default_generator.manual_seed(int.from_bytes(digest[16:24], 'little') >> 1)
    _begun.clear()


def sample_stream(name: str) -> np.random.Generator | None:
    """The generator of the present sample's stream ``name``; None while no sample is made.

    Returns:
        A generator that starts anew with every sample. The object is used again for the next one
        (setting its state costs a tenth of making a new one), so it must not be kept.
    """
    if _sample is None or _sample[0] != os.getpid():
        return None
    generator = _generators.get(name)
    if generator is None:
        generator = _generators[name] = np.random.Generator(np.random.PCG64(0))
    if name not in _begun:
        _begun.add(name)
        words = blake2b(name.encode(), key=_sample[1], digest_size=32).digest()
        generator.bit_generator.state = dict(
            bit_generator='PCG64',
            state=dict(
                state=int.from_bytes(words[:16], 'little'),
                inc=int.from_bytes(words[16:], 'little') | 1,  # odd, or the period is short
            ),
            has_uint32=0,
            uinteger=0,
        )
    return generator


@contextmanager
def kept_generators() -> Iterator[None]:
    """Give back the global generators on the CPU (Python, NumPy, torch) as they were."""
    python, numpy, torch_state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(torch_state)


class SampleFetch:
    """Loads a batch of samples, each with the draws of its key.

    Installed as ``dataset.__getitems__``, through which torch's loader takes a whole batch, it
    serves data sets of any package without wrapping them. Indices without a key are loaded as
    ever. In the process that trains (no workers), the training's own generators are not moved.

    Args:
        dataset: A data set with ``__getitem__``.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __call__(self, indices: Sequence[int]) -> list[Any]:
        """The samples of ``indices``, in their order."""
        if not any(isinstance(index, SampleKey) for index in indices):
            own = getattr(type(self.dataset), '__getitems__', None)
            return own(self.dataset, indices) if own else [self.dataset[i] for i in indices]
        if get_worker_info() is not None:
            return [self._sample(index) for index in indices]
        with kept_generators():
            return [self._sample(index) for index in indices]

    def _sample(self, index: int) -> Any:
        if not isinstance(index, SampleKey):
            return self.dataset[index]
        with sample_draws(index.entropy):
            return self.dataset[int(index)]

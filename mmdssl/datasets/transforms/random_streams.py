"""Named random streams: draws of a switched-on branch that disturb nobody else's draws.

A transform normally draws from NumPy's global generator. A transform given
``stream='dc'`` draws from a generator of its own instead: adding it to a
pipeline leaves every other draw of the run bit-identical, which makes runs with
and without a branch comparable pair by pair.

In training, each sample starts its streams anew from its key
(:mod:`mmdssl.datasets.sample_draws`). Elsewhere, as in a preview, a stream goes
on from sample to sample.
"""

import os
from typing import Any, Protocol
from zlib import crc32

import numpy as np
import torch
from mmengine.dist import get_rank, is_distributed

from mmdssl.datasets.sample_draws import sample_stream

__all__ = ['RandomSource', 'load_streams', 'random_source', 'restart_streams', 'streams_state']


class RandomSource(Protocol):
    """What transforms draw from: ``np.random`` itself or a ``np.random.Generator``."""

    def random(self, size: Any = None) -> Any:
        """Uniform numbers from [0, 1): a float, or a float64 array of shape ``size``."""

    def permutation(self, x: Any) -> Any:
        """A random order of ``range(x)`` (int) or of the array ``x``."""


# (process, torch seed) the generators belong to, and the generators by name. Keeping the owner
# beside them makes a forked worker, or a newly seeded run, start its own streams.
_owner: tuple[int, int] | None = None
_streams: dict[str, np.random.Generator] = {}


def _process_rank() -> int:
    """Rank of this process or, in a spawned loader worker, of the process that started it."""
    return get_rank() if is_distributed() else int(os.environ.get('RANK', 0))


def _own_streams() -> dict[str, np.random.Generator]:
    """The generators of this process under its present torch seed."""
    global _owner
    owner = (os.getpid(), torch.default_generator.initial_seed())
    if owner != _owner:
        _owner = owner
        _streams.clear()
    return _streams


def random_source(stream: str | None = None) -> RandomSource:
    """The generator a transform draws from.

    Args:
        stream: None for NumPy's global generator; otherwise the name of a
            stream. Transforms with the same stream name share one generator.

    Returns:
        ``np.random`` or the stream's generator. While a sample is made that has a
        key, the generator is a function of the key and the name. Otherwise a
        stream is seeded at its first use in a process from torch's seed (which
        differs between loader workers and between epochs), the rank and the
        name. Another torch seed starts all streams anew; the same seed set again
        does not show, which is what :func:`restart_streams` is for.
    """
    if stream is None:
        return np.random
    of_sample = sample_stream(stream)
    if of_sample is not None:
        return of_sample
    streams = _own_streams()
    if stream not in streams:
        entropy = [
            torch.default_generator.initial_seed() & 0xFFFFFFFFFFFFFFFF,
            _process_rank(),
            crc32(stream.encode()),
        ]
        streams[stream] = np.random.default_rng(np.random.SeedSequence(entropy))
    return streams[stream]


def streams_state() -> dict[str, dict[str, Any]]:
    """State of every stream used so far in this process, as plain dicts of ints and strings."""
    return {name: dict(rng.bit_generator.state) for name, rng in _own_streams().items()}


def load_streams(state: dict[str, dict[str, Any]]) -> None:
    """Continue from a state taken by :func:`streams_state`; streams not in it start anew."""
    restart_streams()
    for name, rng_state in state.items():
        random_source(name).bit_generator.state = rng_state  # type: ignore[attr-defined]


def restart_streams() -> None:
    """Forget all streams, so that each begins again at its next use.

    For a second run within one process, from the same seed.
    """
    _own_streams().clear()

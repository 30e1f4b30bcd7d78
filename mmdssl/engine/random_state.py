"""All random generators of this process as plain data, and back."""

import random
from typing import Any

import numpy as np
import torch

from mmdssl.datasets.transforms.random_streams import load_streams, streams_state

__all__ = ['capture_random_state', 'restore_random_state', 'seed_process']


def capture_random_state() -> dict[str, Any]:
    """States of Python, NumPy, torch (CPU, this process's GPU) and the transforms' streams.

    Returns:
        Dict of tensors, numbers, strings and dicts of these: what
        ``torch.load(weights_only=True)`` reads.
    """
    version, words, gauss = random.getstate()
    numpy_state: Any = np.random.get_state(legacy=False)
    state: dict[str, Any] = dict(
        python=dict(version=version, words=torch.tensor(words), gauss=gauss),
        numpy=dict(
            bit_generator=numpy_state['bit_generator'],
            key=torch.from_numpy(numpy_state['state']['key'].astype(np.int64)),
            pos=int(numpy_state['state']['pos']),
            has_gauss=int(numpy_state['has_gauss']),
            gauss=float(numpy_state['gauss']),
        ),
        torch=torch.get_rng_state(),
        streams=streams_state(),
    )
    if torch.cuda.is_available():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def restore_random_state(state: dict[str, Any]) -> None:
    """Continue from a state of :func:`capture_random_state`; tensors on any device.

    A state taken on a GPU restores the rest on a machine without one, and a state
    taken without leaves a GPU's generator alone.
    """
    python, numpy_state = state['python'], state['numpy']
    random.setstate((python['version'], tuple(python['words'].tolist()), python['gauss']))
    np.random.set_state(
        dict(
            bit_generator=numpy_state['bit_generator'],
            state=dict(
                key=numpy_state['key'].cpu().numpy().astype(np.uint32), pos=numpy_state['pos']
            ),
            has_gauss=numpy_state['has_gauss'],
            gauss=numpy_state['gauss'],
        )
    )
    torch.set_rng_state(state['torch'].cpu())
    if torch.cuda.is_available() and 'cuda' in state:
        torch.cuda.set_rng_state(state['cuda'].cpu())
    load_streams(state['streams'])  # last: streams belong to a torch seed


def seed_process(*entropy: int) -> None:
    """Seed all generators of this process from several numbers, each of which makes a difference.

    Made for every iteration (about 40 microseconds): of the GPUs only this process's is seeded,
    and only once it is in use; nothing waits for it.
    """
    seeds = np.random.SeedSequence([n & 0xFFFFFFFFFFFFFFFF for n in entropy]).generate_state(10)
    random.seed(int.from_bytes(seeds[:4].tobytes(), 'little'))
    np.random.seed(seeds[4:8])
    seed = int.from_bytes(seeds[8:].tobytes(), 'little') >> 1
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(seed)

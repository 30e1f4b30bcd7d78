"""Random draws that leave the generator of the run as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ['own_draws']

_PURPOSE = 0xB5297A4D3F84D5B5


@contextmanager
def own_draws() -> Iterator[None]:
    """Within, torch's CPU generator is another one, which depends on the seed of the run alone.

    What is drawn for an optional part does not move what is drawn for the rest.
    """
    generator = torch.random.default_generator
    state, seed = generator.get_state(), generator.initial_seed()
    generator.manual_seed((seed ^ _PURPOSE) % 2**63)
    try:
        yield
    finally:
        generator.set_state(state)

"""Random choices of a training step that leave every other draw of the run unchanged."""

import torch

__all__ = ['BRANCH', 'CORRESPONDENCE', 'QUEUE', 'REFERENCES', 'step_generator']

#: Strides between the seeds of two steps, one a purpose, so that purposes do not share draws.
BRANCH = 0x9E3779B9
CORRESPONDENCE = 0x517CC1B727
QUEUE = 0xD6E8FEB866
REFERENCES = 0xA0761D6478


def step_generator(step: int, purpose: int) -> torch.Generator:
    """A CPU generator that depends on the process's seed, the step and the purpose alone.

    Args:
        step: Iteration, from 0.
        purpose: :data:`BRANCH`, :data:`CORRESPONDENCE`, :data:`QUEUE`, :data:`REFERENCES`, or a
            number of one's own.
    """
    seed = (torch.initial_seed() + purpose * (step + 1)) % 2**63
    return torch.Generator().manual_seed(seed)

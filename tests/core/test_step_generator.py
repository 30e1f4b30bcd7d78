"""Draws of a step: by seed, step and purpose, and no other draw moves."""

import torch

from mmdssl.core.step_generator import BRANCH, CORRESPONDENCE, QUEUE, step_generator


def test_draws_depend_on_seed_step_and_purpose_alone():
    found = {}
    for seed in (0, 1):
        torch.manual_seed(seed)
        for purpose in (BRANCH, CORRESPONDENCE, QUEUE):
            for step in range(50):
                draw = torch.rand(4, generator=step_generator(step, purpose))
                again = torch.rand(4, generator=step_generator(step, purpose))
                assert torch.equal(draw, again)
                found[tuple(draw.tolist())] = (seed, purpose, step)
    assert len(found) == 2 * 3 * 50  # none of them alike, those of far steps neither


def test_other_draws_are_those_without_it():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    torch.rand(9, generator=step_generator(7, BRANCH))
    assert torch.equal(torch.rand(3), expected)


def test_the_seed_is_the_documented_sum():
    """A run that is resumed by another version draws what it would have drawn."""
    torch.manual_seed(3)
    expected = torch.rand(5, generator=torch.Generator().manual_seed(3 + 8 * BRANCH))
    assert torch.equal(torch.rand(5, generator=step_generator(7, BRANCH)), expected)

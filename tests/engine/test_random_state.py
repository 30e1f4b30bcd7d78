"""Random states as plain data: all generators continue from them."""

import random

import numpy as np
import torch

from mmdssl.datasets.transforms.random_streams import random_source
from mmdssl.engine.random_state import (
    capture_random_state,
    restore_random_state,
    seed_process,
)


def draw():
    return [
        random.random(),
        random.gauss(0, 1),
        np.random.rand(),
        np.random.randn(),
        torch.rand(()).item(),
        float(random_source('dc').random()),
    ]


def test_every_generator_continues_from_a_file(tmp_path):
    seed_process(1)
    draw()  # leaves halves of Gaussian pairs behind, which are part of the state
    path = tmp_path / 'state.pth'
    torch.save(capture_random_state(), path)
    want = [draw(), draw()]
    seed_process(2)
    draw()
    restore_random_state(torch.load(path, weights_only=True))
    assert [draw(), draw()] == want


def test_every_seed_number_makes_a_difference():
    def first(*entropy):
        seed_process(*entropy)
        return tuple(draw())

    assert len({first(0, 1), first(1, 0), first(1, 1), first(1, 0, 2)}) == 4
    again = [first(5, 6, 7), first(7, 6, 5), first(5, 6, 7)]
    assert again[0] == again[2]

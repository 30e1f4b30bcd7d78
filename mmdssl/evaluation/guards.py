"""Look at a model in the middle of training without leaving a trace in it or in the run."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

__all__ = ['evaluating', 'preserve_rng_state']


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode and no gradients inside; afterwards every sub-module has its own mode back.

    ``module.train()`` would not do: it wakes frozen stages and normalisations kept in eval mode.
    """
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, training in modes:
            part.training = training


@contextmanager
def preserve_rng_state() -> Iterator[None]:
    """Give back the global random states (Python, NumPy, torch, this process's GPU) as they were.

    Even building the iterator of a data loader draws from torch's generator, so without this an
    evaluation would change the views of the following epochs.
    """
    python, numpy = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)

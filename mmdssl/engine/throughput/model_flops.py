"""Floating-point operations of a training step: counted once, on a copy, before the run begins."""

import copy
from typing import Any

import torch
from mmengine.dataset import default_collate
from torch import nn
from torch.utils.data import Dataset
from torch.utils.flop_counter import FlopCounterMode

from mmdssl.datasets.sample_draws import kept_generators, sample_draws
from mmdssl.evaluation.guards import preserve_rng_state

__all__ = ['flops_per_image', 'sample_batch']

_IMAGES = 8  # an eighth, a quarter and a half of them are whole numbers


def flops_per_image(model: nn.Module, dataset: Dataset, *, dtype: torch.dtype | None) -> float:
    """Operations of products, convolutions and attention: both passes, teacher included.

    The model, its queues and statistics, and all random states stay as they are. All processes of a
    run count at the same time, because a step may gather from all of them.

    Args:
        model: A host with ``data_preprocessor``, not wrapped.
        dataset: What it trains on.
        dtype: Of autocast; None without.

    Returns:
        Of a step, for one image. A multiplication and the addition behind it are two.
    """
    with preserve_rng_state():
        batch = sample_batch(dataset, _IMAGES)
        twin: Any = copy.deepcopy(model)
        if hasattr(twin, 'clock'):  # whatever a runner has published by now
            twin.clock.set(iteration=0, max_iterations=1)
        for module in twin.modules():
            module.__dict__.pop('forward', None)  # compiled code hides what it computes
            if hasattr(module, 'enqueue'):  # a batch of another size does not fit
                module.enqueue = lambda keys: None
        device = next(twin.parameters()).device.type
        counter = FlopCounterMode(display=False)
        with counter, torch.autocast(device, dtype, enabled=dtype is not None):
            data = twin.data_preprocessor(batch, True)
            losses = twin(**data, mode='loss')
            twin.parse_losses(losses)[0].backward()
    return counter.get_total_flops() / _IMAGES


def sample_batch(dataset: Any, size: int, different: int = 8) -> Any:
    """A collated batch of the first samples of a data set, repeated where there are too few.

    Their draws are their own: neither the global generators nor the named streams move.
    """
    number = min(size, different, len(dataset))
    samples = []
    with kept_generators():
        for index in range(number):
            with sample_draws((index,)):
                samples.append(dataset[index])
    return default_collate([samples[index % number] for index in range(size)])

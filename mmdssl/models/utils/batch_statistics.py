"""BatchNorm that normalises by its batch and remembers nothing of it."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

__all__ = ['frozen_running_stats']


@contextmanager
def frozen_running_stats(*modules: nn.Module) -> Iterator[None]:
    """Leave the running statistics of every BatchNorm in ``modules`` as they are.

    In training mode a BatchNorm still normalises by the mean and variance of its
    batch, but ``running_mean``, ``running_var`` and ``num_batches_tracked`` keep
    their values. Meant for images that are no sample of the data, such as
    de-coupled views, which would otherwise enter the statistics that the backbone
    is evaluated with. Modules in evaluation mode, which normalise by the running
    statistics, are left alone.
    """
    norms = [
        norm
        for module in modules
        for norm in module.modules()
        if isinstance(norm, _BatchNorm) and norm.training and norm.track_running_stats
    ]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True

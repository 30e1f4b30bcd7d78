"""The next batch travels to the GPU while this one is computed."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map
from torch.utils.data import DataLoader

from mmdssl.models.data_preprocessors.multiview import MultiViewPreprocessor

__all__ = ['DevicePrefetcher']


class DevicePrefetcher:
    """A loader whose batches are copied one step ahead, in a stream of their own.

    Everything else (``len``, ``sampler``, ``dataset``, ...) is that of the loader.

    Args:
        loader: With workers and ``pin_memory=True``: from other memory a copy cannot overlap.
        preprocessor: Of the model; its :meth:`~MultiViewPreprocessor.to_device` moves a batch.
    """

    def __init__(self, loader: DataLoader, preprocessor: MultiViewPreprocessor) -> None:
        self.loader = loader
        self.preprocessor = preprocessor

    def __len__(self) -> int:
        return len(self.loader)

    def __getattr__(self, name: str) -> Any:
        if name == 'loader':  # asked for by copy and pickle before it exists
            raise AttributeError(name)
        return getattr(self.loader, name)

    def __iter__(self) -> Iterator[Any]:
        stream = torch.cuda.Stream(self.preprocessor.device)
        waiting = None
        for batch in self.loader:
            with torch.cuda.stream(stream):
                moved = self.preprocessor.to_device(batch)
                arrived = stream.record_event()
            if waiting is not None:
                yield _received(*waiting)
            waiting = (moved, arrived, batch)  # the original lives until its copy is done
        if waiting is not None:
            yield _received(*waiting)


def _received(moved: Any, arrived: torch.cuda.Event, original: Any) -> Any:
    """A moved batch, usable in the current stream."""
    del original
    here = torch.cuda.current_stream()
    here.wait_event(arrived)

    def used(leaf: Any) -> Any:
        if isinstance(leaf, Tensor) and leaf.is_cuda:
            leaf.record_stream(here)
        return leaf

    return tree_map(used, moved)

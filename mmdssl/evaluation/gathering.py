"""Metrics whose items travel between processes in small pieces and lie in memory once.

mmengine exchanges the items of a metric through files in a folder, which all nodes must share
although nothing says so, or sends every process everything. Here the main process receives them
over the process group, piece by piece, and the others let go of what they sent: no folder is
needed, and at the end the items of a data set exist once.
"""

import io
import pickle
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import torch
from mmengine import dist
from mmengine.evaluator import BaseMetric

__all__ = ['GatheredMetric', 'gather_items']

_PIECE = 4 * 2**20  # bytes that a process sends at a time; the main process holds one of each


class GatheredMetric(BaseMetric):
    """Base of metrics whose items reach the main process without a shared folder.

    As mmengine's ``BaseMetric``: :meth:`process` appends one item a sample to ``results``, and
    ``compute_metrics`` gets those of the whole data set, in its order, on the main process.

    Args:
        prefix: Of the reported names; None: the metric's own.
    """

    def __init__(self, *, prefix: str | None = None) -> None:
        super().__init__(prefix=prefix)

    def evaluate(self, size: int) -> dict[str, float]:
        """Numbers of the data set by name, on every process.

        Args:
            size: Samples of the data set; what pads a distributed run beyond is cut off.
        """
        own: list[Any] = self.results
        items = gather_items(own, size)
        self.results: list[Any] = []
        numbers: list[Any] = [None]
        if items is not None:
            found = self.compute_metrics(items)
            numbers = [{f'{self.prefix}/{name}': value for name, value in found.items()}]
        dist.broadcast_object_list(numbers)
        return numbers[0]


def gather_items(items: list[Any], size: int, *, piece: int = _PIECE) -> list[Any] | None:
    """Items of all processes in the order of the data set.

    Process r holds the samples r, r + n, r + 2n, ..., as mmengine's ``DefaultSampler`` deals them
    out. Every process must call this.

    Args:
        items: What this process has, of anything that can be pickled. Emptied on all but the main
            process while it is sent.
        size: Samples of the data set; items beyond it are cut off.
        piece: Bytes that a process sends at a time; a larger item is sent whole.

    Returns:
        ``size`` items on the main process, None on the others.
    """
    world = dist.get_world_size()
    if world == 1:
        return items[:size]
    received: list[list[Any]] = [[] for _ in range(world)]
    main = dist.is_main_process()
    if main:
        received[dist.get_rank()] = items
    pieces = iter(()) if main else _pieces(items, piece)
    while parts := _send(next(pieces, b'')):
        if main:
            for own, part in zip(received, parts, strict=True):
                own += _unpack(part)
    if not main:
        return None
    missing = object()  # None is an item like others
    rows = zip_longest(*received, fillvalue=missing)
    return [item for row in rows for item in row if item is not missing][:size]


def _pieces(items: list[Any], size: int) -> Iterator[bytes]:
    """Pickled items behind each other, about ``size`` bytes at a time; empties ``items``."""
    items.reverse()
    while items:
        stream = io.BytesIO()
        while items and stream.tell() < size:
            pickle.dump(items.pop(), stream, protocol=pickle.HIGHEST_PROTOCOL)
        yield stream.getvalue()


def _unpack(part: bytes) -> Iterator[Any]:
    stream = io.BytesIO(part)
    while stream.tell() < len(part):
        yield pickle.load(stream)


def _send(payload: bytes) -> list[bytes]:
    """What each process sends, to the main process; empty there once nobody has anything.

    The others get a list that is as true or false as that of the main process.
    """
    device, world = dist.get_comm_device(), dist.get_world_size()
    lengths = [torch.zeros(1, dtype=torch.long, device=device) for _ in range(world)]
    torch.distributed.all_gather(lengths, torch.tensor([len(payload)], device=device))
    sizes = [int(length) for length in lengths]
    longest = max(sizes)
    if longest == 0:
        return []
    sent = torch.zeros(longest, dtype=torch.uint8)
    if payload:
        sent[: len(payload)] = torch.frombuffer(bytearray(payload), dtype=torch.uint8)
    sent = sent.to(device)
    main = dist.is_main_process()
    buffers = [torch.empty_like(sent) for _ in range(world)] if main else None
    torch.distributed.gather(sent, buffers, dst=0)
    if buffers is None:
        return [b''] * world
    return [
        buffer[:size].cpu().numpy().tobytes() for buffer, size in zip(buffers, sizes, strict=True)
    ]

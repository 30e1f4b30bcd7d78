"""What the host still knows of a batch that is on its way to the device.

How many cells a mask holds decides the shapes of a step. Asked of a tensor on a GPU, the answer
makes the host wait for everything it has launched. The loader's masks lie in host memory until
the batch is moved, so the question is answered there: the preprocessor keeps the originals
beside their copies, and what is derived from them (indices, weights) follows by a copy that the
host does not wait for.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ['HOST', 'HostCopies', 'move']

#: Entry of ``inputs`` with the :class:`HostCopies` of a batch; absent where all is on the CPU.
HOST = 'host'


class HostCopies:
    """The masks, ids and crops of a batch as the loader made them, in host memory.

    Not a container in mmengine's eyes, so that moving a batch to the device leaves it alone.

    Args:
        inputs: ``inputs`` of a batch before it is moved; lists of bool, int64 or float64 tensors
            (crops) are kept.
    """

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        self._entries = {key: list(value) for key, value in inputs.items() if _on_host(value)}

    def get(self, key: str) -> list[Tensor] | None:
        """The tensors of an entry of the batch, on the CPU; None if it was not kept."""
        return self._entries.get(key)

    @staticmethod
    def of(inputs: Mapping[str, Any], key: str) -> list[Tensor]:
        """An entry of a batch where its values are known soonest: on the host if kept there."""
        host = inputs.get(HOST)
        kept = host.get(key) if isinstance(host, HostCopies) else None
        return list(inputs[key]) if kept is None else kept


def move(tensor: Tensor, device: torch.device | str) -> Tensor:
    """A tensor on a device; from the host by a copy that nobody waits for."""
    device = torch.device(device)
    if device.type == 'cuda' and tensor.device.type == 'cpu':
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _on_host(value: Any) -> bool:
    if isinstance(value, (str, Mapping, Tensor)) or not isinstance(value, Sequence) or not value:
        return False
    return all(
        isinstance(one, Tensor)
        and one.device.type == 'cpu'
        and one.dtype in (torch.bool, torch.int64, torch.float64)
        for one in value
    )

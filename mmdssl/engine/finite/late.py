"""Numbers of a GPU that are read a fixed number of steps later, when nobody waits for them.

The delay is counted in steps and not in time, so that all processes learn of a step in the same
one.
"""

from collections import deque
from typing import Any

import torch
from torch import Tensor

__all__ = ['LateValues']


class LateValues:
    """Vectors on their way to the host, oldest first, each with something that belongs to it.

    Args:
        delay: Steps between :meth:`put` and :meth:`due` for values of a GPU. With 2, the host
            waits only if it is more than two steps ahead of the device, which then has work.
            Values in host memory are due at once.
    """

    def __init__(self, *, delay: int = 2) -> None:
        self.delay = delay
        self._travelling: deque[tuple[Tensor, Any, Any]] = deque()
        self._free: list[Tensor] = []

    def put(self, values: Tensor, belongs: Any) -> None:
        """Send a vector (n,) on its way."""
        if not values.is_cuda:
            self._travelling.append((values, None, belongs))
            return
        fitting = [room for room in self._free if room.shape == values.shape]
        room = fitting[0] if fitting else torch.empty_like(values, device='cpu').pin_memory()
        self._free = [other for other in self._free if other is not room]
        room.copy_(values, non_blocking=True)
        self._travelling.append((room, torch.cuda.current_stream().record_event(), belongs))

    def due(self, *, all_of_them: bool = False) -> list[tuple[list[float], Any]]:
        """Numbers of the steps that are old enough, and what belongs to them."""
        known = []
        while self._travelling:
            values, arrived, belongs = self._travelling[0]
            if arrived is not None:
                if len(self._travelling) <= self.delay and not all_of_them:
                    break
                arrived.synchronize()
                self._free.append(values)
            self._travelling.popleft()
            known.append((values.tolist(), belongs))
        return known

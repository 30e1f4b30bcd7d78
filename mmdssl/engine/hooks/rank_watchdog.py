"""End a run in which one process hangs, and say which."""

import os
import time
from typing import Any

import torch.distributed as dist
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdssl.engine.rank_watch import RankWatch
from mmdssl.registry import HOOKS

__all__ = ['EXIT_CODE', 'RankWatchdogHook']

#: With which a process ends because another one is silent.
EXIT_CODE = 3


@HOOKS.register_module()
class RankWatchdogHook(Hook):
    """Watches that no process of a distributed run stands still.

    A process that does not move for ``limit`` seconds, neither to another iteration nor to another
    place in its code, while it is not itself waiting for others, is named in one sentence, and all
    processes end with exit code 3. Long work of one process for which the others wait (an
    evaluation, a clustering) moves, and is left alone. With one process this does nothing.

    Args:
        limit: Seconds; None watches nothing. Below the timeout of the backend (ten minutes for
            NCCL, thirty for gloo, ``env_cfg.dist_cfg.timeout`` for both), which names nobody.
        interval: Seconds between two looks.

    Raises:
        ValueError: A number is not above 0, or ``interval`` is not below ``limit``.
    """

    def __init__(self, *, limit: float | None = 480.0, interval: float = 5.0) -> None:
        if limit is not None and not 0 < interval < limit:
            raise ValueError(
                f'RankWatchdogHook: needs 0 < interval < limit, got interval={interval}, '
                f'limit={limit}; limit=None turns it off'
            )
        self.limit, self.interval = limit, interval
        self._watch: RankWatch | None = None

    def before_train(self, runner: Runner) -> None:
        """Begin to watch."""
        if self.limit is None or not runner.distributed or runner.world_size == 1:
            return
        self._watch = RankWatch(
            rank=runner.rank,
            world_size=runner.world_size,
            store=_own_store(),
            limit=self.limit,
            interval=self.interval,
            alarm=lambda text, silent: self._end(runner, text, silent),
        )
        self._watch.start()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Note that an iteration begins."""
        if self._watch is not None:
            self._watch.iteration = runner.iter + 1

    def after_train(self, runner: Runner) -> None:
        """Watch no longer."""
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def _end(self, runner: Runner, text: str, silent: list[int]) -> None:
        alive = [rank for rank in range(runner.world_size) if rank not in silent]
        if runner.rank == min(alive, default=runner.rank):
            runner.logger.error(text)
            os.write(2, f'error: {text}\n'.encode())
        else:
            time.sleep(2 * self.interval)  # let that one speak
        # The main thread waits in a collective and cannot be reached in another way.
        os._exit(EXIT_CODE)


def _own_store() -> dist.Store:
    """The processes' common store, through a connection that the main thread does not block."""
    store = dist.distributed_c10d._get_default_store()
    while isinstance(store, dist.PrefixStore):
        store = store.underlying_store
    if hasattr(store, 'clone'):
        store = store.clone()
    return dist.PrefixStore('mmdssl_rank_watch', store)

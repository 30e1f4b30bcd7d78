"""Which process of a distributed run the others wait for in vain.

A process that hangs (a file system that does not answer, a worker that is stuck, a stopped or
swapped out process) leaves the others in a collective, where they stay until the backend's timeout
ends them with a message about a socket. Here a thread of each process tells the others how far it
is, where its main thread stands and for how long that has not changed; so whoever is silent can be
named, and the run can end in time.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

import torch.distributed as dist

__all__ = ['RankWatch', 'Report', 'describe', 'silent_ranks']

# Code in which a process waits for others: collectives, and the backward pass, which contains those
# of the gradients.
_WAITING = ('/torch/distributed/', '/mmengine/dist/', '/torch/autograd/graph.py')


@dataclass(frozen=True)
class Report:
    """What a process tells of itself.

    Attributes:
        beat: Number of the report.
        iteration: Iterations begun.
        unchanged: Seconds since its main thread was seen at another place or iteration.
        waiting: Whether it is in a collective.
        place: File, line and function of the innermost code that is not torch's.
    """

    beat: int
    iteration: int
    unchanged: float
    waiting: bool
    place: str


def silent_ranks(
    reports: Mapping[int, Report], answered: Mapping[int, float], limit: float
) -> list[int]:
    """The ranks that keep the run from going on; none while there is hope.

    Args:
        reports: Last report of each rank.
        answered: Seconds since each rank's last report came.
        limit: Seconds of silence that are too many.

    Returns:
        Ranks whose process does not answer at all; otherwise those that have stood still for
        ``limit`` outside of any collective, of several those that are furthest behind; otherwise,
        where all wait in collectives for ``limit``, those furthest behind.
    """
    dead = [rank for rank, seconds in answered.items() if seconds > limit]
    if dead:
        return dead
    still = {rank: report for rank, report in reports.items() if report.unchanged > limit}
    stuck = {rank: report for rank, report in still.items() if not report.waiting}
    if not stuck and len(still) == len(reports):
        stuck = still
    behind = min((report.iteration for report in stuck.values()), default=0)
    return [rank for rank, report in stuck.items() if report.iteration == behind]


def describe(
    silent: list[int], reports: Mapping[int, Report], answered: Mapping[int, float], limit: float
) -> str:
    """One sentence that names the silent ranks and what they were at, and what to do."""
    parts = []
    for rank in silent:
        report = reports[rank]
        if answered[rank] > limit:
            state = (
                'its process does not answer (stopped, swapped out, or its machine is gone); last'
            )
        else:
            state = 'its process lives and stands still'
        parts.append(f'rank {rank}: {state} in iteration {report.iteration}, {report.place}')
    return (
        f'no progress for {limit:g} s: {"; ".join(parts)}. The other processes wait for it, so the '
        'run ends; continue with --resume. Longer waits are allowed by RankWatchdogHook(limit=...)'
    )


class RankWatch:
    """The thread of one process.

    Args:
        rank: Of this process.
        world_size: Number of processes.
        store: Key-value store that all processes share.
        limit: See `silent_ranks`.
        interval: Seconds between two reports.
        alarm: Called, in the thread, with the sentence and the silent ranks.
    """

    def __init__(
        self,
        *,
        rank: int,
        world_size: int,
        store: dist.Store,
        limit: float,
        interval: float,
        alarm: Callable[[str, list[int]], None],
    ) -> None:
        self.iteration = 0  # the main thread counts
        self._rank, self._world_size, self._store = rank, world_size, store
        self._limit, self._interval, self._alarm = limit, interval, alarm
        self._main = threading.get_ident()
        self._stop = threading.Event()
        self._seen: tuple = ()
        self._changed = time.monotonic()
        self._reports: dict[int, Report] = {}
        self._came: dict[int, float] = {}
        self._thread = threading.Thread(target=self._run, name='rank_watch', daemon=True)

    def start(self) -> None:
        """Begin to report and to look."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; the others must do so as well."""
        self._stop.set()
        self._thread.join(timeout=2 * self._interval + 1)

    def _run(self) -> None:
        beat = 0
        while not self._stop.wait(self._interval):
            beat += 1
            own = self._own_report(beat)
            try:
                self._store.set(f'rank{self._rank}', json.dumps(asdict(own)))
                self._look(own)
            except RuntimeError as error:
                # Who kept the store has ended, and with it the run.
                print(f'rank {self._rank}: the watch over ranks ends: {error}', file=sys.stderr)
                return
            if len(self._reports) < self._world_size:
                continue  # some have not begun yet
            now = time.monotonic()
            answered = {rank: now - came for rank, came in self._came.items()}
            silent = silent_ranks(self._reports, answered, self._limit)
            if silent:
                text = describe(silent, self._reports, answered, self._limit)
                self._alarm(text, silent)
                return

    def _look(self, own: Report) -> None:
        for rank in range(self._world_size):
            key = f'rank{rank}'
            if rank == self._rank:
                report = own
            elif self._store.check([key]):
                report = Report(**json.loads(self._store.get(key)))
            else:
                continue
            known = self._reports.get(rank)
            if known is None or known.beat != report.beat:
                self._came[rank] = time.monotonic()
            self._reports[rank] = report

    def _own_report(self, beat: int) -> Report:
        frame = sys._current_frames().get(self._main)
        stack = []
        while frame is not None:
            stack.append(frame)
            frame = frame.f_back
        seen = (self.iteration, *((f.f_code, f.f_lasti) for f in stack))
        now = time.monotonic()
        if seen != self._seen:
            self._seen, self._changed = seen, now
        waiting = any(part in f.f_code.co_filename for f in stack for part in _WAITING)
        return Report(beat, self.iteration, now - self._changed, waiting, _place(stack))


def _place(stack: list[FrameType]) -> str:
    """Where a stack, innermost first, stands, as a reader wants to know it."""
    if any('/torch/utils/data/dataloader.py' in f.f_code.co_filename for f in stack):
        return 'waiting for its data loader'
    skipped = ('/torch/', '/lib/python', '<')
    shown = [f for f in stack if not any(part in f.f_code.co_filename for part in skipped)] or stack
    if not shown:
        return 'at an unknown place'
    frame = shown[0]
    return f'at {Path(frame.f_code.co_filename).name}:{frame.f_lineno} in {frame.f_code.co_name}'

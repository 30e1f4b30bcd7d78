"""Marks in the course of a run, and what lies between them.

On a GPU the host runs ahead: its clock says when work was handed over, not when it was done. A mark
is therefore an event in the stream, whose time is read later, where somebody waits for the device
anyway. The time from "nothing is left to do" to "the batch is here" is then what the device spent
waiting for data, and nothing if it was still computing when the batch came.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ['Clock', 'DeviceClock', 'HostClock', 'Pace', 'StepMarks']


class Clock(ABC):
    """What marks are made with."""

    @abstractmethod
    def mark(self) -> Any:
        """A mark at this place of the work."""

    @abstractmethod
    def seconds(self, start: Any, stop: Any) -> float:
        """From one mark to a later one; both have been passed."""

    @abstractmethod
    def reach(self, mark: Any) -> None:
        """Return when the work has passed a mark."""


class HostClock(Clock):
    """The clock of this process, where it computes itself."""

    def mark(self) -> float:
        """Now."""
        return time.perf_counter()

    def seconds(self, start: float, stop: float) -> float:
        """The difference."""
        return stop - start

    def reach(self, mark: float) -> None:
        """Marks are in the past."""


class DeviceClock(Clock):
    """Events in the current CUDA stream."""

    def mark(self) -> torch.cuda.Event:
        """An event behind everything that was handed over."""
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self, start: torch.cuda.Event, stop: torch.cuda.Event) -> float:
        """On the clock of the device."""
        return start.elapsed_time(stop) / 1000

    def reach(self, mark: torch.cuda.Event) -> None:
        """Wait for the event, if it is still ahead."""
        mark.synchronize()


@dataclass(frozen=True)
class Pace:
    """How a number of steps went.

    Attributes:
        steps: How many.
        seconds: A step, waiting included; evaluations and saving not.
        waiting: Of it, seconds without work because the batch was not there.
    """

    steps: int
    seconds: float
    waiting: float

    @property
    def share(self) -> float:
        """Share of the time spent waiting for data, 0 to 1."""
        return self.waiting / self.seconds if self.seconds else 0.0


class StepMarks:
    """The marks of a training loop since the last report.

    A step reaches from its beginning to that of the next one; what is reported are the steps
    between the beginnings of two, so that nothing is asked of work that is not done yet.

    Args:
        clock: Makes the marks.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._first: Any = None
        self._last: Any = None
        self._steps = 0
        self._idle_since: Any = None
        # Intervals, of steps that are complete, and of the one that is being made.
        self._waits: list[tuple[Any, Any]] = []
        self._pauses: list[tuple[Any, Any]] = []
        self._new_waits: list[tuple[Any, Any]] = []
        self._new_pauses: list[tuple[Any, Any]] = []

    def begin(self) -> None:
        """The batch is there; the step begins."""
        mark = self.clock.mark()
        if self._idle_since is not None:
            self._new_waits.append((self._idle_since, mark))
            self._idle_since = None
        if self._first is None:
            self._first = mark
        else:
            self._steps += 1
            self._waits += self._new_waits
            self._pauses += self._new_pauses
        self._new_waits, self._new_pauses = [], []
        self._last = mark

    def end(self) -> None:
        """All of the step is handed over; the next batch is asked for."""
        self._idle_since = self.clock.mark()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside (an evaluation, a checkpoint) is no training."""
        start = self.clock.mark()
        between = self._idle_since is not None
        if between:
            self._new_waits.append((self._idle_since, start))
        try:
            yield
        finally:
            stop = self.clock.mark()
            self._new_pauses.append((start, stop))
            if between:
                self._idle_since = stop

    def report(self) -> Pace | None:
        """The steps completed since the last report; None if there are none."""
        if not self._steps:
            return None
        self.clock.reach(self._last)
        away = sum(self.clock.seconds(*pause) for pause in self._pauses)
        waited = sum(self.clock.seconds(*wait) for wait in self._waits)
        whole = self.clock.seconds(self._first, self._last) - away
        pace = Pace(self._steps, whole / self._steps, waited / self._steps)
        self._first, self._steps = self._last, 0
        self._waits, self._pauses = [], []
        return pace

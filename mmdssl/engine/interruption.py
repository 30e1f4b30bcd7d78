"""Stopping a run on request: signals become a wish that is met where nothing is lost."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from torch.utils.data import get_worker_info

__all__ = ['StopSignals', 'TrainingStopped']


class TrainingStopped(SystemExit):
    """Training ended on a signal; the exit code is the shell's, 128 + signal number."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.signum = signum

    @property
    def signal_name(self) -> str:
        """E.g. ``'SIGTERM'``."""
        return signal.Signals(self.signum).name


class StopSignals:
    """Listens for SIGINT (Ctrl-C) and SIGTERM (schedulers) while training runs.

    The first signal of a kind is noted in :attr:`received`; a second one of the
    same kind acts as it would without us. (Of the same kind: ``torchrun`` answers
    a Ctrl-C, which its workers see as well, with SIGTERM to each of them.)

    Args:
        may_raise: Tells whether the process is at a place where training state is
            not being changed, so that the handler may raise
            :class:`TrainingStopped` at once instead of waiting.
    """

    def __init__(self, may_raise: Callable[[], bool]) -> None:
        self.received: int | None = None
        self._may_raise = may_raise
        self._previous: dict[int, Any] = {}
        self._process = os.getpid()

    def listen(self) -> None:
        """Take over both signals; only possible, and only done, in the main thread."""
        self.received = None
        self._process = os.getpid()
        if threading.current_thread() is not threading.main_thread():
            return
        for signum in (signal.SIGINT, signal.SIGTERM):
            listener = getattr(signal.getsignal(signum), '__self__', None)
            if isinstance(listener, StopSignals):  # of a run that has failed meanwhile, or our own
                listener._give_back(signum)
            self._previous[signum] = signal.signal(signum, self._handle)

    def release(self) -> None:
        """Give the signals back."""
        for signum in list(self._previous):
            self._give_back(signum)

    def _give_back(self, signum: int) -> None:
        previous = self._previous.pop(signum)
        signal.signal(signum, signal.SIG_DFL if previous is None else previous)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            self._handle_in_child(signum)
            return
        self._give_back(signum)
        self.received = signum
        # Not print: the handler may have interrupted one.
        name = signal.Signals(signum).name
        note = f'\n{name}: stopping at the next whole iteration; repeat to stop at once\n'
        os.write(2, note.encode())
        if self._may_raise():
            raise TrainingStopped(signum)

    @staticmethod
    def _handle_in_child(signum: int) -> None:
        """In a forked process, which has inherited the handler: the main process decides.

        It still needs the images of loader workers and the results of others. But a pool ends
        its workers by SIGTERM and waits until they have gone.
        """
        if signum == signal.SIGTERM and get_worker_info() is None:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)

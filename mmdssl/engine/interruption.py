"""Stopping a run on request: signals become a wish that is met where nothing is lost."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

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
            return  # a forked loader worker: the main process decides, and still needs its images
        self._give_back(signum)
        self.received = signum
        # Not print: the handler may have interrupted one.
        name = signal.Signals(signum).name
        note = f'\n{name}: stopping at the next whole iteration; repeat to stop at once\n'
        os.write(2, note.encode())
        if self._may_raise():
            raise TrainingStopped(signum)


# A pool (mmdet scores VOC with some) ends its workers by SIGTERM and waits until they are gone. So
# a forked process takes SIGTERM as it would without us, from its first moment: Python forgets a
# signal that comes before its handlers are set up again, and runs none while a worker waits for a
# lock. Ctrl-C goes to all processes of a terminal and stays the main process's business.
_forking = threading.local()


def _lives_on() -> bool:
    """Whether a forked process would not end by SIGTERM as it should.

    It is passed over by us, or by a job of submitit, waiting for SIGUSR2; taken as Ctrl-C, as
    ``mmdssl study`` has it, it raises in the middle of anything, with a lock in hand.
    """
    handler = signal.getsignal(signal.SIGTERM)
    ours = isinstance(getattr(handler, '__self__', None), StopSignals)
    as_ctrl_c = handler is signal.default_int_handler
    return ours or as_ctrl_c or str(getattr(handler, '__module__', '')).startswith('submitit.')


def _before_fork() -> None:
    if _lives_on():
        _forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _after_fork() -> None:
    mask = _forking.__dict__.pop('mask', None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _after_fork_in_child() -> None:
    if hasattr(_forking, 'mask'):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _after_fork()


if hasattr(os, 'register_at_fork'):  # not on Windows, which does not fork
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child
    )

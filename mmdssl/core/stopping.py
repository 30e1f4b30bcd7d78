"""SIGTERM ends a long job as Ctrl-C does: what schedulers send, in place of what people type."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ['stoppable']


@contextmanager
def stoppable() -> Iterator[None]:
    """Within the block SIGTERM raises KeyboardInterrupt.

    Only possible, and only done, in the main thread.
    """

    def stop(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread: whoever runs that one decides
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

"""A lock on a file that dies with its process.

A lock of ``flock`` is shared by forked children, so that workers outliving a killed run would keep
it. Record locks (``lockf``) belong to one process: nothing is left of them when it ends, however it
ends, and they work on NFS.
"""

import errno
import fcntl
import json
import os
import platform
import warnings
from pathlib import Path
from types import TracebackType
from typing import IO

__all__ = ['FileLock', 'LockedError']

_BUSY = (errno.EACCES, errno.EAGAIN)
# Locks of this process: a second open file would take the first one's lock along when closed.
_held: set[str] = set()


class LockedError(ValueError):
    """Another process holds the lock; the message says which."""


class FileLock:
    """A context manager.

    The file is removed when the lock is given back. What a killed process leaves of it is locked
    by nobody and is used again.

    Args:
        path: The lock file; its folder must exist.
        wait: Wait until it is free, instead of raising.
        again: Within the process that holds it, entering another lock on the file does nothing;
            False: it raises there as well.
    """

    def __init__(self, path: str | Path, *, wait: bool = False, again: bool = True) -> None:
        self.path = Path(path)
        self.wait = wait
        self.again = again
        self._key = os.path.realpath(self.path)
        self._process = os.getpid()
        self._file: IO[str] | None = None

    def __enter__(self) -> 'FileLock':
        """Take the lock.

        Raises:
            LockedError: If another process holds it, or this one and ``again`` is False.
        """
        if self._key in _held:
            if not self.again:
                raise LockedError('this process')
            return self
        while self._file is None:
            self._file = self._try()
        _held.add(self._key)
        self._process = os.getpid()
        self._file.truncate()
        self._file.write(json.dumps(dict(process=self._process, machine=platform.node())))
        self._file.flush()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """Give the lock back, if this object has taken it."""
        if self._file is None or self._process != os.getpid():  # a forked child never held it
            return
        self.path.unlink(missing_ok=True)
        self._file.close()
        self._file = None
        _held.discard(self._key)

    def _try(self) -> IO[str] | None:
        """The locked file; None if it was removed meanwhile by the one who had it."""
        file = self.path.open('a+', encoding='utf-8')
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | (0 if self.wait else fcntl.LOCK_NB))
        except OSError as error:
            if error.errno in _BUSY:
                file.seek(0)
                owner = file.read()
                file.close()
                raise LockedError(_owner(owner)) from None
            warnings.warn(
                f'{self.path.parent} is on a file system without locks ({error.strerror}): make '
                'sure yourself that no second process writes there',
                stacklevel=4,
            )
            file.seek(0)
            return file
        try:
            same = os.path.samestat(os.fstat(file.fileno()), self.path.stat())
        except FileNotFoundError:
            same = False
        if not same:
            file.close()
            return None
        file.seek(0)
        return file


def _owner(text: str) -> str:
    try:
        owner = json.loads(text)
        return f'process {owner["process"]} on {owner["machine"]}'
    except (ValueError, KeyError, TypeError):  # it has just begun
        return 'another process'

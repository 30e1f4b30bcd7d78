"""Which errors are not the code's: a full disk, unreadable data, another process that is gone.

They come from deep inside, out of a loader's worker or while another error is handled, and then
stand at the end of several tracebacks that help nobody. Here the chain is searched for the one that
says what happened.
"""

import errno
import os
from collections.abc import Iterator

from mmdssl.core.wording import printable
from mmdssl.datasets.bad_images import TooManyBadImagesError
from mmdssl.datasets.image_header import ImageDecodeError

__all__ = ['plain_sentence', 'says_what_happened']

_FULL = 'make room there, or choose another place; a run continues with --resume'
_REMEDIES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: 'files may not grow as large there: choose another place, or raise the limit',
    errno.EROFS: 'choose a place that can be written, such as --work-dir',
    errno.EACCES: 'change the permissions, or choose another place',
    errno.EPERM: 'change the permissions, or choose another place',
    errno.ENOTDIR: 'a file stands where a folder is needed: remove it, or choose another place',
    errno.EEXIST: 'a file stands where a folder is needed: remove it, or choose another place',
    errno.EISDIR: 'a folder stands where a file is needed: give the path of a file',
    errno.ELOOP: 'a link leads to itself: remove it',
    errno.ENAMETOOLONG: 'choose a shorter name',
    errno.EIO: 'the disk or the network behind it fails: look at the system log',
    errno.ESTALE: 'the network disk was exchanged: mount it anew',
    errno.EMFILE: 'too many files are open: raise `ulimit -n` or use fewer workers',
    errno.ENFILE: 'too many files are open on this machine: close some',
    errno.ENOMEM: 'use a smaller batch or fewer workers',
}
# What torch's writer of checkpoints says where the disk is full; it knows no error number.
_TORCH_WRITES = ('inline_container', 'PytorchStreamWriter')
# What gloo and NCCL say where the other side of a connection ended.
_PEER_GONE = (
    'Connection reset by peer',
    'Connection closed by peer',
    'Broken pipe',
    'remote process exited',
    'ncclRemoteError',
)
_CAUGHT = 'Original Traceback (most recent call last):'


def plain_sentence(error: BaseException) -> str | None:
    """What happened, in one sentence, where it is not a fault of the code; None otherwise.

    Args:
        error: What ended the program; errors that it came from or that it interrupted are
            looked at as well, the outermost first.
    """
    for one in _chain(error):
        if isinstance(one, (TooManyBadImagesError, ImageDecodeError)):
            return says_what_happened(one)
        if isinstance(one, OSError) and one.errno in _REMEDIES:
            return says_what_happened(one)
        if isinstance(one, RuntimeError) and any(word in str(one) for word in _TORCH_WRITES):
            return f'a checkpoint cannot be written, as on a full disk ({_last_line(one)}): {_FULL}'
        if isinstance(one, RuntimeError) and any(word in str(one) for word in _PEER_GONE):
            return (
                f'another process of this run is gone ({_last_line(one)}): its machine, or an '
                'error that its own output names, ended it; what is done is kept, --resume goes on '
                'with as many processes as are left'
            )
    return None


def says_what_happened(error: BaseException) -> str:
    """The sentence of one error: a worker's without its traceback, a system's with advice.

    Args:
        error: An error with a message of this package, or of the system.
    """
    if isinstance(error, OSError) and error.errno in _REMEDIES:
        name = error.filename
        where = f'{printable(name)}: ' if isinstance(name, (str, bytes)) else ''
        return f'{where}{error.strerror or os.strerror(error.errno)}: {_REMEDIES[error.errno]}'
    if isinstance(error, KeyError) and error.args:
        return printable(str(error.args[0]))
    text = str(error)
    if _CAUGHT in text:  # raised by a loader's worker: the type and the message come last
        text = _last_line(error).partition(': ')[2] or _last_line(error)
    return printable(text)


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return printable(lines[-1].strip()) if lines else type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, then what it came from or happened during, each once."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__

"""JPEGs damaged inside: hear what the decoder says of them.

Bytes lost or exchanged within a JPEG's picture data do not stop libjpeg: it decodes on, fills the
rest of the picture with grey or noise, and writes one line to the error stream of the process,
which is the only way in which OpenCV passes it on. Here that stream is led into a temporary file
while a picture is decoded (three system calls, a few microseconds). What somebody else wrote
meanwhile is passed on.
"""

import os
import re
import tempfile
import threading
from collections.abc import Callable
from typing import TypeVar, cast

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ['decode_jpeg', 'listen']

Picture = TypeVar('Picture')

_STDERR = 2
_LIBJPEG = re.compile(
    rb'^(Corrupt JPEG data|Premature end of JPEG|Inconsistent progression|Invalid SOS|'
    rb'Invalid (component|Adobe)|Unsupported marker|Warning: ).*\n?',
    re.MULTILINE,
)
# Cameras pad the data before the end marker with a few bytes; the picture is complete by then.
_PADDING = re.compile(rb'Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9')
_MOST_PADDING = 15

_lock = threading.Lock()
if hasattr(os, 'register_at_fork'):  # another thread of the parent may have held it
    os.register_at_fork(after_in_child=lambda: globals().update(_lock=threading.Lock()))
_kept: dict[int, int] = {}  # process -> descriptor of its temporary file


def decode_jpeg(data: bytes, flags: int) -> tuple[npt.NDArray[np.uint8] | None, str]:
    """Decode by OpenCV and tell damage inside.

    Args:
        data: A JPEG file.
        flags: Of ``cv2.imdecode``.

    Returns:
        The picture as OpenCV gives it, or None, and what is wrong with it, '' if nothing is.
    """
    buffer = np.frombuffer(data, np.uint8)
    return listen(lambda: _decode(buffer, flags))


def listen(decode: Callable[[], Picture]) -> tuple[Picture, str]:
    """Call a decoder of a JPEG and tell damage inside; the same for any decoder over libjpeg."""
    with _lock:
        try:
            file, stream = _temporary(), os.dup(_STDERR)
        except OSError:  # no error stream, or no place for a file: decode without listening
            return decode(), ''
        try:
            os.dup2(file, _STDERR)
            try:
                image = decode()
            finally:
                os.dup2(stream, _STDERR)
            said = _take(file)
            foreign = _LIBJPEG.sub(b'', said)
            if foreign:
                os.write(stream, foreign)
        finally:
            os.close(stream)
    return image, _damage(said)


def _decode(buffer: npt.NDArray[np.uint8], flags: int) -> npt.NDArray[np.uint8] | None:
    try:
        return cast('npt.NDArray[np.uint8] | None', cv2.imdecode(buffer, flags))
    except cv2.error:  # older OpenCV raises where newer gives None
        return None


def _temporary() -> int:
    """Descriptor of this process's file; a fork must not share its position with the parent."""
    process = os.getpid()
    if process not in _kept:
        with tempfile.TemporaryFile() as file:
            _kept[process] = os.dup(file.fileno())
    return _kept[process]


def _take(file: int) -> bytes:
    """What was written, removed from the file."""
    size = os.fstat(file).st_size
    if not size:
        return b''
    said = os.pread(file, size, 0)
    os.ftruncate(file, 0)
    os.lseek(file, 0, os.SEEK_SET)
    return said


def _damage(said: bytes) -> str:
    for match in _LIBJPEG.finditer(said):
        line = match[0].strip()
        padding = _PADDING.match(line)
        if line.startswith(b'Warning: ') or (padding and int(padding[1]) <= _MOST_PADDING):
            continue
        return line.decode('ascii', 'replace')
    return ''

"""Which picture a search has seen: a number for the content of a file, cheap to take again.

Names and sizes repeat (``frame_0001.jpg`` of two cameras, 640 x 480), so they do not tell whether
proposals are those of this picture. Length, beginning and end of the file do: compressed pictures
that differ anywhere differ there.
"""

import hashlib
import io
import os
from pathlib import Path
from typing import BinaryIO

from mmdssl.datasets.image_header import ImageDecodeError, Source, content_of

__all__ = ['UNKNOWN', 'fingerprint']

#: Of a picture whose file was not at hand.
UNKNOWN = 0
_END = 1 << 14  # bytes at either end


def fingerprint(source: Source) -> int:
    """A number of 64 bits, `UNKNOWN` where the file cannot be read."""
    digest = hashlib.blake2b(digest_size=8)
    try:
        with _opened(source) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            digest.update(size.to_bytes(8, 'little'))
            digest.update(file.read(_END))
            if size > _END:
                file.seek(max(_END, size - _END))
                digest.update(file.read(_END))
    except (OSError, ImageDecodeError):
        return UNKNOWN
    return int.from_bytes(digest.digest(), 'little') or 1


def _opened(source: Source) -> BinaryIO:
    """Of a file, which may be large, only its ends are read."""
    if isinstance(source, (str, Path)):
        return open(source, 'rb')
    return io.BytesIO(content_of(source)[1])

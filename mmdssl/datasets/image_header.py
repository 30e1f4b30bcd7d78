"""What the first bytes of an image file say: is it a file at all, how large is the picture.

A file of a few kilobytes may unfold into gigabytes of pixels, so the size is read and judged
before anything is decoded. There is one limit for all readers, whichever library decodes:
``MMDSSL_MAX_PIXELS`` in the environment, which loader workers and worker pools inherit, or
16384 x 16384 pixels (0.8 GB as RGB). Pillow's own limit, lower and known to Pillow alone, is lifted
where this one has judged.
"""

import io
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from PIL import Image, UnidentifiedImageError

from mmdssl.core.wording import printable

__all__ = [
    'MAX_PIXELS',
    'ImageDecodeError',
    'Source',
    'StoredImage',
    'check_pixels',
    'content_of',
    'is_deep',
    'max_pixels',
    'open_picture',
    'picture_shape',
    'read_file',
]

#: The limit where ``MMDSSL_MAX_PIXELS`` does not set another one.
MAX_PIXELS = 16384 * 16384
_VARIABLE = 'MMDSSL_MAX_PIXELS'
# No picture within the limit needs more: four channels of 16 bits, and room for what else a file
# holds. What is larger is not read into memory to find that out.
_BYTES_A_PIXEL, _BYTES_BESIDE = 8, 1 << 28
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
_TIFF_SIZE = (0x0100, 0x0101)  # width and height
_PILLOW = threading.RLock()  # its limit is a variable of its module


class StoredImage(Protocol):
    """An image that is no file of its own, such as the member of a shard.

    Attributes:
        path: What to call it.
    """

    @property
    def path(self) -> str: ...

    def read(self) -> bytes:
        """The content of its file; raises `ImageDecodeError`."""


#: What an image is read from: a path, the bytes of a file, or what gives them.
Source = str | Path | bytes | StoredImage


class ImageDecodeError(ValueError):
    """A file that is no readable image.

    Args:
        path: The file, or ``'<bytes>'``.
        reason: What is wrong with it, in a few words.
    """

    def __init__(self, path: str, reason: str = '') -> None:
        # `reason` has a default because a DataLoader rebuilds a worker's exception from one string.
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        if not self.reason:
            return printable(self.path)
        return (
            f'cannot read image {printable(self.path)}: {printable(self.reason)}; '
            'replace or remove the file'
        )


def max_pixels() -> int:
    """Most pixels (width * height) of a picture that is read.

    Raises:
        ValueError: ``MMDSSL_MAX_PIXELS`` is no positive whole number.
    """
    text = os.environ.get(_VARIABLE)
    if not text:
        return MAX_PIXELS
    if not text.isascii() or not text.isdigit() or not int(text):
        raise ValueError(f'{_VARIABLE}={text!r} must be a whole number of pixels, like 100000000')
    return int(text)


def check_pixels(name: str, width: int, height: int) -> None:
    """Refuse a picture above the limit, before it is decoded.

    Args:
        name: The file, for the message.
        width: As its header says, in pixels.
        height: As its header says, in pixels.

    Raises:
        ImageDecodeError: It has more pixels than `max_pixels`.
    """
    limit = max_pixels()
    if width * height > limit:
        raise ImageDecodeError(
            name,
            f'its header says {width} x {height} pixels (width x height), more than the '
            f'{limit} of {_VARIABLE}: set that higher where the picture is meant',
        )


def read_file(name: str) -> bytes:
    """The content of an image file.

    Raises:
        ImageDecodeError: It is missing, empty, no regular file (a pipe would block, a device never
            end), or larger than any picture within the limit.
    """
    limit = _BYTES_A_PIXEL * max_pixels() + _BYTES_BESIDE
    try:
        status = os.stat(name)
        if not stat.S_ISREG(status.st_mode):
            kind = 'a directory' if stat.S_ISDIR(status.st_mode) else 'no regular file'
            raise ImageDecodeError(name, f'it is {kind}')
        if status.st_size > limit:
            raise ImageDecodeError(
                name,
                f'its {status.st_size / 1e9:.1f} GB are more than any picture of {_VARIABLE}='
                f'{max_pixels()} needs',
            )
        with open(name, 'rb') as file:
            data = file.read()
    except (OSError, ValueError) as error:  # ValueError: a zero byte within the name
        if isinstance(error, ImageDecodeError):
            raise
        reason = error.strerror if isinstance(error, OSError) else None
        raise ImageDecodeError(name, reason or str(error)) from error
    except MemoryError as error:
        raise ImageDecodeError(name, 'there is not memory enough to read it') from error
    if not data:
        raise ImageDecodeError(name, 'the file is empty')
    return data


def content_of(source: Source) -> tuple[str, bytes]:
    """What an image is called, and the content of its file.

    Raises:
        ImageDecodeError: See `read_file`.
    """
    if isinstance(source, bytes):
        return '<bytes>', source
    if isinstance(source, (str, Path)):
        return os.fspath(source), read_file(os.fspath(source))
    return source.path, source.read()


@contextmanager
def open_picture(source: Source, name: str | None = None) -> Iterator[Image.Image]:
    """``PIL.Image.open`` under this package's limit instead of Pillow's.

    Args:
        source: A path, the bytes of a file, or what gives them.
        name: The file, for messages; default: ``source``.

    Raises:
        ImageDecodeError: More pixels than the limit, or no regular file.
        OSError: Pillow cannot read it; other errors of its plugins pass as well.
    """
    if not isinstance(source, (str, Path)):
        called, content = content_of(source)
        name = name or called
        file: BinaryIO = io.BytesIO(content)
    else:
        name = name or os.fspath(source)
        if not stat.S_ISREG(os.stat(source).st_mode):
            raise ImageDecodeError(name, 'it is no regular file')
        file = open(source, 'rb')  # noqa: SIM115 - closed below
    with file, _lifted_limit(), Image.open(file) as image:
        check_pixels(name, *image.size)
        yield image


@contextmanager
def _lifted_limit() -> Iterator[None]:
    """Without Pillow's limit, which some plugins ask again while they decode."""
    with _PILLOW:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def is_deep(path: Source) -> bool:
    """Whether a PNG or TIFF has more than 8 bits a sample, of which photos keep the highest 8."""
    try:
        with open_picture(path) as image:
            if image.format == 'PNG':  # Pillow shows 16 bits of colours as 8
                return content_of(path)[1][24] == 16
            return image.mode.startswith(('I', 'F'))
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, EOFError, MemoryError):
        return False


def picture_shape(path: Source, *, exif: bool = True) -> tuple[int, int] | None:
    """Height and width of a picture as `decode_image` gives it, from its header alone.

    Args:
        path: The file, or what gives its content.
        exif: Whether the EXIF orientation is applied.

    Returns:
        (height, width), or None where the file is unreadable.
    """
    try:
        with open_picture(path) as image:
            width, height = image.size
            if image.format == 'TIFF':
                # Its orientation belongs to its pixel layout: it is applied in any case, by some
                # versions of Pillow to the size already. The tags are of the stored picture.
                width, height = (image.tag_v2[tag] for tag in _TIFF_SIZE)  # type: ignore[attr-defined]
                exif = True
            if exif and image.getexif().get(_ORIENTATION) in _TURNED:
                return width, height
            return height, width
    # Pillow's plugins raise what their parsers meet; here only readable or not is asked.
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, EOFError, MemoryError):
        return None

"""Image files to RGB arrays: OpenCV where it is right, Pillow where it is not, errors never silent.

OpenCV decodes ordinary JPEG, PNG, WebP and BMP fastest. A glance at the header (a few
microseconds) sends the rest to Pillow: CMYK JPEG, anything with transparency, GIF, TIFF,
animations, HEIC and AVIF where Pillow reads them (`picture_plugins`). The same glance finds files
cut short, which decoders may accept and fill with grey, and pictures too large to decode
(`image_header`). What the JPEG decoder says of data damaged inside counts (`jpeg_warnings`).
"""

from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from mmdssl.datasets.image_header import (
    ImageDecodeError,
    Source,
    check_pixels,
    content_of,
    open_picture,
)
from mmdssl.datasets.jpeg_warnings import decode_jpeg
from mmdssl.datasets.picture_plugins import plugin_endings

__all__ = ['IMAGE_EXTENSIONS', 'ImageDecodeError', 'check_image_data', 'decode_image']

#: File name endings taken for images, lower case; those of plug-ins where they are installed.
IMAGE_EXTENSIONS = (
    '.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.webp', '.bmp', '.tif', '.tiff', '.gif',
    *plugin_endings(),
)  # fmt: skip

# Start-of-frame markers C0..CF without C4 (Huffman table), C8 (reserved), CC (arithmetic table).
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN, _JPEG_END = 0xDA, b'\xff\xd9'
# A JPEG without an end marker that ends in this many zero bytes is a file the disk space of which
# was reserved but never filled: zeros are valid entropy code, so no decoder complains.
_ZERO_TAIL = bytes(16)
_PNG_MAGIC = b'\x89PNG\r\n\x1a\n'
_TIFF_MAGIC = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')  # the last two: BigTIFF


def decode_image(
    source: Source, *, exif: bool = True, background: int = 255, name: str | None = None
) -> npt.NDArray[np.uint8]:
    """Read an image as 8-bit RGB.

    - EXIF orientation is applied (``exif=True``) to every format alike, so an image stands as a
      viewer shows it. ``exif=False`` keeps the stored order of the pixels, except for TIFF, whose
      orientation belongs to the pixel layout.
    - 16-bit samples keep their high byte (``v >> 8``); floating-point samples are refused, since
      their range is unknown.
    - Grey becomes three equal channels; CMYK is converted without a colour profile; a palette is
      resolved.
    - Transparency is composited on a uniform ``background``.
    - An animation gives its first frame, a multi-page TIFF its first page.

    Args:
        source: A path, the bytes of a file, or what gives them.
        exif: Apply the EXIF orientation.
        background: Grey level 0..255 under transparent pixels; 255 is the white of a web page.
        name: What to call it in messages; None: its path.

    Returns:
        Array (H, W, 3), uint8, RGB, contiguous and writable.

    Raises:
        ImageDecodeError: The file is missing, empty, truncated, or no supported image.
    """
    called, data = content_of(source)
    name = name or called
    if not data:
        raise ImageDecodeError(name, 'the file is empty')

    jpeg = data.startswith(b'\xff\xd8')
    if _opencv_reads(data, name):
        flags = cv2.IMREAD_COLOR if exif else cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        image = _decode_jpeg(data, name, flags) if jpeg else _decode(data, flags)
        if image is not None:
            cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)
            return image
    elif jpeg:  # Pillow's decoder keeps what it notices to itself
        _decode_jpeg(data, name, cv2.IMREAD_REDUCED_GRAYSCALE_8)
    return _decode_with_pillow(data, name, exif, background)


def check_image_data(data: bytes, name: str) -> None:
    """Judge a file by its header and its end, for another decoder than `decode_image`.

    Args:
        data: Content of the file.
        name: The file, for messages.

    Raises:
        ImageDecodeError: It is empty, cut short, or larger than ``MMDSSL_MAX_PIXELS``.
    """
    if not data:
        raise ImageDecodeError(name, 'the file is empty')
    if _opencv_reads(data, name):
        return
    try:
        with open_picture(data, name):
            pass
    except ImageDecodeError:
        raise
    except Exception:
        pass


def _decode(data: bytes, flags: int) -> npt.NDArray[np.uint8] | None:
    """The picture (BGR), or None where OpenCV cannot: Pillow then names the reason."""
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:  # older OpenCV raises where newer gives None
        return None
    return cast('npt.NDArray[np.uint8] | None', image)


def _decode_jpeg(data: bytes, name: str, flags: int) -> npt.NDArray[np.uint8] | None:
    """The same for a JPEG, damage inside being an error."""
    image, damage = decode_jpeg(data, flags)
    if damage:
        raise ImageDecodeError(name, f'damaged inside ({damage})')
    return image


def _opencv_reads(data: bytes, name: str) -> bool:
    """Whether OpenCV decodes this file correctly; raises for a file known to be cut short."""
    if data.startswith(b'\xff\xd8'):
        return _opencv_reads_jpeg(data, name)
    if data.startswith(_PNG_MAGIC):
        if data.rfind(b'IEND') < 0:
            raise ImageDecodeError(name, 'truncated PNG: no end chunk')
        # Colour types 0 grey, 2 RGB, 3 palette; 4 and 6 have alpha, a tRNS chunk makes some pixels
        # transparent, an eXIf chunk may turn the image (not every OpenCV looks at it).
        opaque = len(data) > 33 and data[25] in (0, 2, 3)
        check_pixels(name, *(int.from_bytes(data[at : at + 4], 'big') for at in (16, 20)))
        return opaque and data.find(b'tRNS', 33, data.find(b'IDAT')) < 0 and b'eXIf' not in data
    if data.startswith(b'RIFF') and data[8:12] == b'WEBP':
        if len(data) < max(30, 8 + int.from_bytes(data[4:8], 'little')):
            raise ImageDecodeError(name, 'truncated WebP: shorter than its header says')
        if data[12:16] == b'VP8L':  # 14 bits of width - 1, 14 of height - 1, "alpha is used"
            bits = int.from_bytes(data[21:25], 'little')
            check_pixels(name, (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
            return not bits >> 28 & 1
        if data[12:16] == b'VP8 ':
            sides = (int.from_bytes(data[at : at + 2], 'little') & 0x3FFF for at in (26, 28))
            check_pixels(name, *sides)
        return data[12:16] == b'VP8 '  # VP8X: alpha, animation or EXIF
    if data.startswith(b'BM'):
        sides = (int.from_bytes(data[at : at + 4], 'little', signed=True) for at in (18, 22))
        check_pixels(name, *(abs(side) for side in sides))
        return len(data) > 30 and data[28] in (1, 4, 8, 24)  # bits a pixel
    return False


def _opencv_reads_jpeg(data: bytes, name: str) -> bool:
    """Walk the segments of a JPEG up to its first scan: colour channels and completeness."""
    channels, position = 0, 2
    try:
        while True:
            if data[position] != 0xFF:
                return False  # out of step: let Pillow judge
            marker = data[position + 1]
            if marker == 0xFF:  # fill byte
                position += 1
                continue
            if marker == _JPEG_SCAN:
                break
            if marker in _JPEG_FRAMES:
                channels = data[position + 9]
                height = (data[position + 5] << 8) + data[position + 6]
                check_pixels(name, (data[position + 7] << 8) + data[position + 8], height)
            position += 2 + (data[position + 2] << 8) + data[position + 3]
    except IndexError:
        raise ImageDecodeError(name, 'truncated JPEG header') from None
    # Entropy-coded data never contain the end marker, so one behind the scan's start is genuine.
    # (Searching from the scan on skips the end marker of an embedded thumbnail.)
    if not data.endswith(_JPEG_END) and data.rfind(_JPEG_END, position) < 0:
        if data.endswith(_ZERO_TAIL):
            raise ImageDecodeError(name, 'truncated JPEG: the file ends in zeros')
        return False  # Pillow complains of missing data, OpenCV may fill them with grey
    return channels in (1, 3)


def _decode_with_pillow(
    data: bytes, name: str, exif: bool, background: int
) -> npt.NDArray[np.uint8]:
    """The slow and careful way; see `decode_image`."""
    try:
        if data.startswith(_PNG_MAGIC):
            with open_picture(data, name) as chunks:
                chunks.verify()  # check sums; load() alone does not look at them
        with open_picture(data, name) as opened:
            opened.load()
            image: Image.Image = opened
            if exif:
                image = ImageOps.exif_transpose(opened)
            if image.mode.startswith('I;16'):
                grey = (np.asarray(image) >> 8).astype(np.uint8)
                return np.repeat(grey[..., None], 3, axis=2)
            if image.mode in ('I', 'F'):
                kind = 'floating-point' if image.mode == 'F' else '32-bit integer'
                raise ImageDecodeError(
                    name, f'{kind} samples of unknown range, which are read with channels=1'
                )
            if image.has_transparency_data:
                layer = image.convert('RGBA')
                ground = Image.new('RGBA', layer.size, (background, background, background, 255))
                image = Image.alpha_composite(ground, layer)
            return np.array(image.convert('RGB'))
    except ImageDecodeError:
        raise
    # Pillow's plugins raise whatever their parsers meet (SyntaxError, struct.error, EOFError, ...):
    # all of it means that this file is no readable image.
    except Exception as error:
        reason = str(error) or type(error).__name__
        if 'cannot identify image file' in reason:
            reason = 'not an image, or of an unsupported format'
            if data.startswith(_TIFF_MAGIC):
                reason = 'a TIFF that is no photo: with channels=N images of N channels are read'
        raise ImageDecodeError(name, reason) from error

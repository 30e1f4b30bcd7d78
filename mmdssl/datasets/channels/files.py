"""Files of n channels to arrays of their own sample type: TIFF, NumPy's files, PNG of 16 bits.

What Pillow and OpenCV make RGB of 8 bits of, is read here as it was stored. TIFF, GeoTIFF and the
TIFFs of microscopes need tifffile (``pip install 'mmdssl[formats]'``). Other pictures have three
equal or different channels of 8 bits, as `decode_image` gives them.
"""

import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from mmdssl.datasets.decode import IMAGE_EXTENSIONS, check_image_data, decode_image
from mmdssl.datasets.image_header import ImageDecodeError, Source, check_pixels, content_of

__all__ = ['CHANNEL_EXTENSIONS', 'Axis', 'Samples', 'read_samples', 'samples_shape']

#: File name endings taken for images of n channels, lower case.
CHANNEL_EXTENSIONS = (*IMAGE_EXTENSIONS, '.npy', '.npz')

#: Where the channels stand; None: where an axis of that length is.
Axis = Literal['first', 'last'] | None

_TIFF_MAGIC = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')  # the last two: BigTIFF
_PNG_MAGIC, _NPY_MAGIC, _ZIP_MAGIC = b'\x89PNG\r\n\x1a\n', b'\x93NUMPY', b'PK\x03\x04'
_GDAL_NODATA = 42113
_KINDS = 'buif'  # truth values, integers, floating point
_PACKAGE = re.compile(r"requires the '(\w+)' package")


@dataclass(frozen=True)
class Samples:
    """What a file holds.

    Attributes:
        values: (H, W, C) in the type of the file.
        nodata: The value that the file says is none (GDAL's tag); None where it says nothing.
    """

    values: npt.NDArray[Any]
    nodata: float | None = None


@dataclass(frozen=True)
class _Stored:
    """An array that is not decoded yet."""

    shape: tuple[int, ...]
    kind: str
    load: Callable[[], npt.NDArray[Any]]
    nodata: float | None = None


def read_samples(source: Source, channels: int, axis: Axis = None) -> Samples:
    """All samples of an image.

    Args:
        source: The file, or what gives its content.
        channels: How many it has to have.
        axis: Where they stand.

    Raises:
        ImageDecodeError: The file cannot be read, or is of another form.
        ModuleNotFoundError: A package that reads it is not installed.
    """
    name, stored = _stored(source)
    order = _order(name, stored, channels, axis)
    return Samples(_guarded(name, stored.load).reshape(order[0]).transpose(order[1]), stored.nodata)


def samples_shape(source: Source, channels: int, axis: Axis = None) -> tuple[int, int] | None:
    """Height and width of an image of n channels by its header; None where it is unreadable.

    Raises:
        ModuleNotFoundError: A package that reads it is not installed.
    """
    try:
        shape, turn = _order(*_stored(source), channels, axis)
    except ImageDecodeError:
        return None
    return shape[turn[0]], shape[turn[1]]


def _stored(source: Source) -> tuple[str, _Stored]:
    """The image's name, what its header says, and how to go on."""
    name, data = content_of(source)
    return name, _stored_in(name, data)


def _stored_in(name: str, data: bytes) -> _Stored:
    if data.startswith(_TIFF_MAGIC):
        return _guarded(name, lambda: _tiff(data))
    if data.startswith(_NPY_MAGIC):
        return _guarded(name, lambda: _npy(lambda: io.BytesIO(data)))
    if data.startswith(_ZIP_MAGIC):
        return _guarded(name, lambda: _npz(name, data))
    check_image_data(data, name)
    if data.startswith(_PNG_MAGIC):
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if picture is None:
            raise ImageDecodeError(name, 'damaged PNG')
        if picture.ndim == 3:  # from OpenCV's order; alpha stays the last
            picture = picture[..., [2, 1, 0, 3][: picture.shape[2]]]
    else:
        picture = decode_image(data, name=name)
        if bool((picture == picture[..., :1]).all()):
            picture = picture[..., 0]
    return _Stored(picture.shape, 'u', lambda: picture)


def _guarded(name: str, work: Callable[[], Any]) -> Any:
    """What ``work`` gives, its errors being those of an unreadable file.

    Readers raise whatever their parsers meet: all of it means that this is no readable image,
    but for a package that is missing, which concerns all files.
    """
    try:
        return work()
    except (ImageDecodeError, ModuleNotFoundError):
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        if package := _PACKAGE.search(reason):
            raise ModuleNotFoundError(
                f'{name} is compressed in a way that tifffile reads with the package '
                f'{package[1]}: pip install {package[1]}, or store the images with deflate'
            ) from error
        raise ImageDecodeError(name, reason.splitlines()[0]) from error


def _tiff(data: bytes) -> _Stored:
    try:
        import tifffile
    except ImportError as error:
        raise ModuleNotFoundError(
            'TIFF images of n channels are read by the package tifffile, which is not installed: '
            "pip install 'mmdssl[formats]'"
        ) from error
    file = tifffile.TiffFile(io.BytesIO(data))
    series = file.series[0]
    tag = file.pages[0].tags.get(_GDAL_NODATA)  # type: ignore[union-attr]
    return _Stored(
        series.shape,
        np.dtype(series.dtype).kind,
        lambda: series.asarray(maxworkers=1),  # loaders have a worker a core
        None if tag is None else _number(tag.value),
    )


def _number(text: Any) -> float | None:
    """GDAL writes the value as text."""
    try:
        return float(str(text).strip().strip('\0'))
    except ValueError:
        return None


def _npy(open_file: Callable[[], Any]) -> _Stored:
    with open_file() as file:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise ValueError(f'version {version} of the format is not known')
        shape, _, dtype = read(file)

    def load() -> npt.NDArray[Any]:
        with open_file() as again:
            return np.lib.format.read_array(again, allow_pickle=False)

    return _Stored(shape, dtype.kind, load)


def _npz(name: str, data: bytes) -> _Stored:
    archive = zipfile.ZipFile(io.BytesIO(data))
    names = [one for one in archive.namelist() if one.endswith('.npy')]
    chosen = 'image.npy' if 'image.npy' in names else names[0] if len(names) == 1 else None
    if chosen is None:
        arrays = ', '.join(one.removesuffix('.npy') for one in names) or 'no array'
        raise ImageDecodeError(
            name, f"it holds {arrays}: one array is wanted, or one of the name 'image'"
        )
    return _npy(lambda: archive.open(chosen))


def _order(
    name: str, stored: _Stored, channels: int, axis: Axis
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Three lengths of the array, and its axes as height, width, channels."""
    if stored.kind not in _KINDS:
        raise ImageDecodeError(name, 'its samples are no integers or floating-point numbers')
    shape = list(stored.shape)
    while len(shape) > 3 and 1 in shape:  # a time, a depth, a scene
        shape.remove(1)
    if len(shape) == 2:
        shape.append(1)
    said = ' x '.join(map(str, stored.shape))
    if len(shape) != 3 or 0 in shape:
        raise ImageDecodeError(name, f'its shape is {said}, not that of one image of n channels')
    fits = [one for one, at in (('first', 0), ('last', 2)) if shape[at] == channels]
    if not fits or axis not in (None, *fits):
        found = shape[{'first': 0, 'last': 2}[axis]] if axis else min(shape[0], shape[2])
        raise ImageDecodeError(
            name, f'it has {found} channels (its shape is {said}), and channels={channels} is set'
        )
    if axis is None and len(fits) == 2:
        raise ImageDecodeError(
            name,
            f'its shape is {said}, so the channels may stand first or last: say which with '
            'channels_axis',
        )
    turn = (0, 1, 2) if (axis or fits[0]) == 'last' else (1, 2, 0)
    check_pixels(name, shape[turn[1]], shape[turn[0]])
    return (shape[0], shape[1], shape[2]), turn

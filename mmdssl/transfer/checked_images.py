"""Photos and label maps for mmdet and mmseg: read by mmcv, judged as in pre-training.

mmcv hands the bytes of a file to OpenCV: a picture of any size is decoded, one that is cut off or
damaged inside is filled with grey, and an unreadable one ends the run without its name. In our
commands the header is judged first (``MMDSSL_MAX_PIXELS``), what the JPEG decoder says counts, and
an error names the file. The pixels stay mmcv's.
"""

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any

import mmcv
import numpy.typing as npt
from mmcv.transforms import LoadAnnotations, LoadImageFromFile

from mmdssl.datasets.decode import check_image_data
from mmdssl.datasets.image_header import ImageDecodeError
from mmdssl.datasets.jpeg_warnings import listen

__all__ = ['checked', 'use_checked_images']

_MARK = '_mmdssl_checked'
_name: ContextVar[str] = ContextVar('file', default='<bytes>')
_widest: ContextVar[int | None] = ContextVar('largest label', default=None)


def use_checked_images(framework: str) -> None:
    """From now on mmcv decodes images and maps with these checks; again changes nothing.

    Args:
        framework: 'mmdet', or 'mmseg', which keeps label maps in 8 bits.
    """
    if not hasattr(mmcv.imfrombytes, _MARK):
        decode = checked(mmcv.imfrombytes)
        mmcv.imfrombytes = mmcv.image.imfrombytes = mmcv.image.io.imfrombytes = decode
        LoadImageFromFile.transform = _naming('img_path', LoadImageFromFile.transform)
        LoadAnnotations._load_seg_map = _naming('seg_map_path', LoadAnnotations._load_seg_map)
    if framework == 'mmseg':
        from mmseg.datasets.transforms import LoadAnnotations as SegmentationMaps

        if not hasattr(SegmentationMaps._load_seg_map, _MARK):
            load = _naming('seg_map_path', _in_eight_bits(SegmentationMaps._load_seg_map))
            SegmentationMaps._load_seg_map = load


def checked(decode: Callable[..., npt.NDArray]) -> Callable[..., npt.NDArray]:
    """``mmcv.imfrombytes`` with the checks.

    Args:
        decode: Of mmcv.

    Returns:
        A function that raises `ImageDecodeError` for what is too large, cut off, damaged inside,
        or no image.
    """

    @wraps(decode)
    def imfrombytes(content: bytes, *args: Any, **kwargs: Any) -> npt.NDArray:
        name, data = _name.get(), bytes(content)
        check_image_data(data, name)
        if data.startswith(b'\xff\xd8'):
            image, damage = listen(lambda: decode(content, *args, **kwargs))
            if damage:
                raise ImageDecodeError(name, f'damaged inside ({damage})')
        else:
            image = decode(content, *args, **kwargs)
        if image is None:
            raise ImageDecodeError(name, 'not an image, or of an unsupported format')
        widest = _widest.get()
        if widest is not None and image.dtype.itemsize > 1 and image.max() > widest:
            raise ImageDecodeError(
                name, f'its label {image.max()} is above {widest}, the last that mmseg keeps'
            )
        return image

    setattr(imfrombytes, _MARK, True)
    return imfrombytes


def _naming(key: str, load: Callable[..., Any]) -> Callable[..., Any]:
    """A method that loads the file which ``results[key]`` names, in errors as well."""

    @wraps(load)
    def method(self: Any, results: dict[str, Any]) -> Any:
        token = _name.set(str(results[key]))
        try:
            return load(self, results)
        finally:
            _name.reset(token)

    setattr(method, _MARK, True)
    return method


def _in_eight_bits(load: Callable[..., Any]) -> Callable[..., Any]:
    """A loader of mmseg's that refuses labels which its 8 bits would change."""

    @wraps(load)
    def method(self: Any, results: dict[str, Any]) -> Any:
        token = _widest.set(255)
        try:
            return load(self, results)
        finally:
            _widest.reset(token)

    return method

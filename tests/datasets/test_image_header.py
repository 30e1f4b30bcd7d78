"""Sizes are judged before anything is decoded: one limit for OpenCV's way and for Pillow's."""

import io
import os
import struct
import threading
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from mmdssl.datasets.decode import ImageDecodeError, decode_image
from mmdssl.datasets.image_header import max_pixels, open_picture, picture_shape
from tests.datasets.image_files import opencv, picture, save, turned_exif

RGB = picture()
RGBA = np.dstack([RGB, RGB[..., 0]])
PALETTE = Image.fromarray(RGB).quantize(8)
# Every format, and within it the ways through OpenCV and through Pillow.
KINDS = {
    'jpeg': save(RGB, 'JPEG'),
    'jpeg progressive': save(RGB, 'JPEG', progressive=True),
    'jpeg cmyk': save(Image.fromarray(RGB).convert('CMYK'), 'JPEG'),
    'png': save(RGB, 'PNG'),
    'png alpha': save(RGBA, 'PNG'),
    'webp lossy': save(RGB, 'WEBP'),
    'webp lossless': save(RGB, 'WEBP', lossless=True),
    'webp alpha': save(RGBA, 'WEBP', lossless=True),
    'bmp': save(RGB, 'BMP'),
    'gif': save(PALETTE, 'GIF'),
    'tiff': save(RGB, 'TIFF'),
}


def png_bomb(width, height):
    """A PNG of a few kilobytes that claims a size and holds the beginning of its zeros."""
    rows = zlib.compress(bytes(1 << 20))
    parts = [(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)), (b'IDAT', rows)]
    chunks = [
        struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))
        for kind, body in [*parts, (b'IEND', b'')]
    ]
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunks)


def bmp_bomb(side):
    head = bytearray(save(RGB, 'BMP'))
    head[18:26] = struct.pack('<ii', side, -side)  # a negative height: rows from the top
    return bytes(head)


@pytest.mark.parametrize('kind', KINDS)
def test_the_limit_holds_for_every_format_and_lets_pass_what_meets_it(kind, monkeypatch):
    monkeypatch.setenv('MMDSSL_MAX_PIXELS', str(64 * 48))
    assert decode_image(KINDS[kind]).shape == (48, 64, 3)
    monkeypatch.setenv('MMDSSL_MAX_PIXELS', str(64 * 48 - 1))
    with pytest.raises(ImageDecodeError, match=r'64 x 48 .*3071 of MMDSSL_MAX_PIXELS'):
        decode_image(KINDS[kind])


@pytest.mark.parametrize(
    'data', [png_bomb(40000, 30000), bmp_bomb(30000), png_bomb(2**31 - 1, 2**31 - 1)]
)
def test_a_bomb_costs_no_memory(data):
    tracemalloc.start()
    with pytest.raises(ImageDecodeError, match='MMDSSL_MAX_PIXELS'):
        decode_image(data)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def test_a_file_larger_than_any_picture_is_not_read(tmp_path):
    path = tmp_path / 'x.jpg'
    with path.open('wb') as file:
        file.truncate(20_000_000_000)  # sparse
    with pytest.raises(ImageDecodeError, match=r'20\.0 GB'):
        decode_image(path)


def test_pillows_own_limit_does_not_matter_and_is_left_as_it_was(monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    for kind in ('png alpha', 'gif', 'tiff', 'webp alpha'):
        assert decode_image(KINDS[kind]).shape == (48, 64, 3)
    assert Image.MAX_IMAGE_PIXELS == 100
    with pytest.raises(OSError, match='cannot identify'), open_picture(b'nothing'):
        pass
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize('text', ['0', '-5', '1e8', 'many', '٣'])
def test_a_limit_that_is_no_number_is_named(text, monkeypatch):
    monkeypatch.setenv('MMDSSL_MAX_PIXELS', text)
    with pytest.raises(ValueError, match='whole number of pixels'):
        max_pixels()


def test_shapes_of_headers_are_those_of_the_pixels(tmp_path):
    turned = {f'turned {kind}': save(RGB, kind, exif=turned_exif()) for kind in ('JPEG', 'TIFF')}
    files = {**KINDS, **turned, 'tall': opencv(RGB, '.png')}
    for name, data in files.items():
        path = tmp_path / name
        path.write_bytes(data)
        for exif in (True, False):
            assert picture_shape(path, exif=exif) == decode_image(path, exif=exif).shape[:2], name
    path.write_bytes(png_bomb(40000, 30000))
    assert picture_shape(path) is None
    assert picture_shape(tmp_path / 'none') is None


@pytest.mark.parametrize('kind', ['pipe', 'device', 'self', 'nowhere', 'folder'])
def test_only_regular_files_are_read(kind, tmp_path):
    path = tmp_path / 'x.jpg'
    if kind == 'pipe':
        os.mkfifo(path)
    elif kind == 'folder':
        path.mkdir()
    else:
        path.symlink_to({'device': '/dev/zero', 'self': 'x.jpg', 'nowhere': 'y.jpg'}[kind])
    caught = []

    def read():
        try:
            decode_image(path)
        except ImageDecodeError as error:
            caught.append(error)

    reader = threading.Thread(target=read, daemon=True)  # a pipe would block for ever
    reader.start()
    reader.join(timeout=20)
    assert caught, f'{kind}: not refused'
    assert picture_shape(path) is None


def test_too_little_memory_makes_an_image_unreadable_not_the_run_end(tmp_path, monkeypatch):
    path = tmp_path / 'x.png'
    path.write_bytes(KINDS['png alpha'])

    def full(*_):
        raise MemoryError

    monkeypatch.setattr(Image.Image, 'load', full)
    with pytest.raises(ImageDecodeError, match='MemoryError'):
        decode_image(path)


def test_the_content_decides_not_the_name(tmp_path):
    path = tmp_path / 'x.jpg'
    path.write_bytes(KINDS['png'])
    np.testing.assert_array_equal(decode_image(path), RGB)
    assert io.BytesIO(KINDS['png']).read(4) == b'\x89PNG'

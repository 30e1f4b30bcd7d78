"""Every kind of image file decodes to the pixels it stands for, or is refused with a reason."""

import io
import pickle

import cv2
import numpy as np
import pytest
from PIL import Image

from mmdssl.datasets.decode import ImageDecodeError, decode_image
from tests.datasets.image_files import alpha, opencv, picture, save, turned_exif

RGB = picture()
GREY = RGB[..., 0]
SIXTEEN = RGB.astype(np.uint16) * 256 + 77  # the low byte must not round up
RGBA = np.dstack([RGB, alpha()])
PALETTE = Image.fromarray(RGB).quantize(32)


def three(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


def on_ground(colour: np.ndarray, opacity: np.ndarray, ground: int = 255) -> np.ndarray:
    share = opacity[..., None] / 255
    return colour * share + ground * (1 - share)


LOSSLESS = {
    'png': (save(RGB, 'PNG'), RGB),
    'png grey': (save(GREY, 'PNG'), three(GREY)),
    'png bilevel': (
        save(Image.fromarray(GREY > 99), 'PNG'),
        three(np.where(GREY > 99, 255, 0)),
    ),
    'png 16 bit': (opencv(SIXTEEN, '.png'), RGB),
    'png 16 bit grey': (opencv(SIXTEEN[..., 0], '.png'), three(GREY)),
    'png palette': (save(PALETTE, 'PNG'), np.asarray(PALETTE.convert('RGB'))),
    'png animated': (
        save(RGB, 'PNG', save_all=True, append_images=[Image.fromarray(255 - RGB)]),
        RGB,
    ),
    'gif': (save(PALETTE, 'GIF'), np.asarray(PALETTE.convert('RGB'))),
    'gif animated': (
        save(PALETTE, 'GIF', save_all=True, append_images=[Image.fromarray(255 - RGB)]),
        np.asarray(PALETTE.convert('RGB')),
    ),
    'webp': (save(RGB, 'WEBP', lossless=True), RGB),
    'webp animated': (
        save(RGB, 'WEBP', lossless=True, save_all=True, append_images=[Image.fromarray(255 - RGB)]),
        RGB,
    ),
    'bmp': (save(RGB, 'BMP'), RGB),
    'tiff': (save(RGB, 'TIFF'), RGB),
    'tiff lzw': (save(RGB, 'TIFF', compression='tiff_lzw'), RGB),
    'tiff 16 bit': (opencv(SIXTEEN, '.tiff'), RGB),
    'tiff 16 bit grey': (opencv(SIXTEEN[..., 0], '.tiff'), three(GREY)),
    'tiff pages': (
        save(RGB, 'TIFF', save_all=True, append_images=[Image.fromarray(255 - RGB)]),
        RGB,
    ),
}

TRANSPARENT = {
    'png rgba': (save(RGBA, 'PNG'), RGB, alpha()),
    'png rgba 16 bit': (
        cv2.imencode('.png', RGBA[..., [2, 1, 0, 3]].astype(np.uint16) * 257)[1].tobytes(),
        RGB,
        alpha(),
    ),
    'png grey alpha': (
        save(Image.merge('LA', [Image.fromarray(GREY), Image.fromarray(alpha())]), 'PNG'),
        three(GREY),
        alpha(),
    ),
    'png palette alpha': (
        save(PALETTE, 'PNG', transparency=bytes([0] * 16 + [255] * 16)),
        np.asarray(PALETTE.convert('RGB')),
        np.where(np.asarray(PALETTE) < 16, 0, 255),
    ),
    'png transparent colour': (
        save(RGB, 'PNG', transparency=tuple(int(v) for v in RGB[5, 5])),
        RGB,
        np.where((RGB[5, 5] == RGB).all(axis=2), 0, 255),
    ),
    'webp rgba': (save(RGBA, 'WEBP', lossless=True, exact=True), RGB, alpha()),
    'tiff rgba': (save(RGBA, 'TIFF'), RGB, alpha()),
    'gif transparent': (
        save(PALETTE, 'GIF', transparency=3),
        np.asarray(PALETTE.convert('RGB')),
        np.where(np.asarray(PALETTE) == 3, 0, 255),
    ),
}

LOSSY = {
    'jpeg': save(RGB, 'JPEG', quality=97, subsampling=0),
    'jpeg progressive': save(RGB, 'JPEG', quality=97, subsampling=0, progressive=True),
    'jpeg cmyk': save(Image.fromarray(RGB).convert('CMYK'), 'JPEG', quality=97),
    'webp lossy': save(RGB, 'WEBP', quality=100),
    'tiff jpeg': save(RGB, 'TIFF', compression='jpeg', quality=97),
}


def assert_rgb_array(image: np.ndarray) -> None:
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert image.flags.c_contiguous
    assert image.flags.writeable


@pytest.mark.parametrize('kind', LOSSLESS)
def test_lossless_kinds_give_the_exact_pixels(kind):
    data, expected = LOSSLESS[kind]
    image = decode_image(data)
    assert_rgb_array(image)
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize('kind', LOSSY)
def test_lossy_kinds_give_nearly_the_pixels(kind):
    image = decode_image(LOSSY[kind])
    assert_rgb_array(image)
    difference = np.abs(image.astype(int) - RGB)
    assert difference.mean() < 2.5
    # Channels swapped or inverted would differ by tens of levels.
    assert np.corrcoef(image.ravel(), RGB.ravel())[0, 1] > 0.995


@pytest.mark.parametrize('ground', [255, 0])
@pytest.mark.parametrize('kind', TRANSPARENT)
def test_transparency_is_composited_on_the_ground(kind, ground):
    data, colour, opacity = TRANSPARENT[kind]
    image = decode_image(data, background=ground)
    assert_rgb_array(image)
    np.testing.assert_allclose(image, on_ground(colour, opacity, ground), atol=1)


def test_grey_jpeg_has_three_equal_channels():
    image = decode_image(save(GREY, 'JPEG', quality=97))
    assert_rgb_array(image)
    assert (image == image[..., :1]).all()
    assert np.abs(image[..., 0].astype(int) - GREY).mean() < 2


@pytest.mark.parametrize('kind', ['PNG', 'WEBP', 'TIFF', 'JPEG'])
def test_exif_orientation_turns_every_format_alike(kind):
    options = {'WEBP': {'lossless': True}, 'JPEG': {'quality': 97, 'subsampling': 0}}.get(kind, {})
    data = save(RGB, kind, exif=turned_exif(), **options)
    image = decode_image(data)
    expected = np.rot90(RGB, k=-1)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 2.5
    assert_rgb_array(image)
    if kind != 'TIFF':  # part of the pixel layout there
        assert decode_image(data, exif=False).shape == RGB.shape


def test_path_and_bytes_give_the_same(tmp_path):
    data = LOSSY['jpeg']
    path = tmp_path / 'a photo.jpg'
    path.write_bytes(data)
    np.testing.assert_array_equal(decode_image(path), decode_image(data))
    np.testing.assert_array_equal(decode_image(str(path)), decode_image(data))


WHOLE = {
    **{kind: data for kind, (data, _) in LOSSLESS.items()},
    **{kind: data for kind, (data, *_) in TRANSPARENT.items()},
    **LOSSY,
}


@pytest.mark.filterwarnings('ignore:.*:UserWarning:PIL')
@pytest.mark.parametrize('kind', [k for k in WHOLE if k not in ('gif animated', 'tiff pages')])
def test_a_file_cut_anywhere_is_refused(kind):
    data = WHOLE[kind]
    for share in (0.02, 0.2, 0.5, 0.8, 0.95):
        with pytest.raises(ImageDecodeError):
            decode_image(data[: int(len(data) * share)])


@pytest.mark.parametrize('kind', ['jpeg', 'jpeg progressive', 'png', 'png rgba', 'png 16 bit'])
def test_a_file_filled_up_with_zeros_is_refused(kind):
    data = WHOLE[kind]
    for share in (0.5, 0.8, 0.95):
        kept = int(len(data) * share)
        with pytest.raises(ImageDecodeError):
            decode_image(data[:kept] + bytes(len(data) - kept))


def test_end_marker_of_an_embedded_thumbnail_does_not_hide_a_cut():
    exif = Image.Exif()
    exif[0x010E] = 'x'
    thumbnail = save(RGB[:16, :16].copy(), 'JPEG')
    data = save(RGB, 'JPEG', exif=exif.tobytes() + thumbnail)
    assert thumbnail in data
    decode_image(data)
    start = data.index(thumbnail) + len(thumbnail)
    for cut in (start, start + 100, len(data) - 20):
        with pytest.raises(ImageDecodeError, match='truncated'):
            decode_image(data[:cut])


@pytest.mark.parametrize('kind', ['jpeg', 'png', 'webp', 'bmp', 'gif'])
def test_bytes_behind_the_end_do_no_harm(kind):
    np.testing.assert_array_equal(
        decode_image(WHOLE[kind] + b'trailing text \0\0\0'), decode_image(WHOLE[kind])
    )


@pytest.mark.parametrize(
    ('data', 'reason'),
    [
        (b'', 'empty'),
        (b'no image at all, but text', 'not an image'),
        (b'\xff\xd8', 'truncated'),
        (b'\x89PNG\r\n\x1a\n', 'truncated'),
        (b'BM', '.'),
        (b'GIF89a', '.'),
    ],
)
def test_what_is_no_image_is_refused_with_a_reason(data, reason):
    with pytest.raises(ImageDecodeError, match=reason) as caught:
        decode_image(data)
    assert caught.value.reason


def test_floating_point_samples_are_refused():
    buffer = io.BytesIO()
    Image.fromarray(GREY.astype(np.float32) / 255).save(buffer, 'TIFF')
    with pytest.raises(ImageDecodeError, match='floating-point'):
        decode_image(buffer.getvalue())


def test_errors_name_the_file_and_survive_pickling(tmp_path):
    missing = tmp_path / 'missing.jpg'
    with pytest.raises(ImageDecodeError, match=r'missing\.jpg: No such file') as caught:
        decode_image(missing)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.path, copy.reason) == (str(missing), caught.value.reason)
    # A DataLoader rebuilds the exception of a worker from its text.
    assert 'text of a worker' in str(ImageDecodeError('text of a worker'))
    with pytest.raises(ImageDecodeError, match='directory'):
        decode_image(tmp_path)


def test_real_photos_equal_pillows(shared):
    for path in sorted(shared('coco_mini/val2017').glob('*.jpg'))[:10]:
        with Image.open(path) as image:
            expected = np.asarray(image.convert('RGB'))
        difference = np.abs(decode_image(path).astype(int) - expected)
        assert difference.mean() < 1

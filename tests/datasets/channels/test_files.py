"""Files of n channels are read as they were stored, or refused in one sentence that names them."""

import io
import sys

import cv2
import numpy as np
import pytest

from mmdssl.datasets.channels.files import read_samples, samples_shape
from mmdssl.datasets.decode import ImageDecodeError
from tests.datasets.image_files import picture, save

tifffile = pytest.importorskip('tifffile')

FIVE = np.random.default_rng(0).integers(0, 4096, (5, 12, 20)).astype(np.uint16)  # channels first


def written(path, values, **options):
    """A file of the kind that the name says."""
    if path.suffix == '.tif':
        tifffile.imwrite(path, values, photometric='minisblack', **options)
    elif path.suffix == '.npy':
        np.save(path, values)
    elif path.suffix == '.npz':
        np.savez_compressed(path, image=values, other=np.zeros(3))
    return path


@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'int16', 'float32', 'float64', 'uint32'])
@pytest.mark.parametrize('name', ['a.tif', 'a.npy', 'a.npz'])
def test_every_type_comes_as_it_is(name, dtype, tmp_path):
    values = (FIVE % 200).astype(dtype)
    found = read_samples(written(tmp_path / name, values), 5).values
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, values.transpose(1, 2, 0))


@pytest.mark.parametrize('name', ['a.tif', 'a.npy', 'a.npz'])
def test_channels_stand_first_or_last(name, tmp_path):
    first = read_samples(written(tmp_path / name, FIVE), 5).values
    last = read_samples(written(tmp_path / f'b{name}', FIVE.transpose(1, 2, 0)), 5).values
    np.testing.assert_array_equal(first, last)
    assert first.shape == (12, 20, 5)
    assert samples_shape(tmp_path / name, 5) == (12, 20)


@pytest.mark.parametrize(
    'options',
    [
        dict(planarconfig='separate', compression='zlib', tile=(16, 16)),
        dict(bigtiff=True),
        dict(byteorder='>'),
    ],
)
def test_kinds_of_tiff(options, tmp_path):
    found = read_samples(written(tmp_path / 'a.tif', FIVE, **options), 5).values
    np.testing.assert_array_equal(found, FIVE.transpose(1, 2, 0))


def test_pages_of_a_stack_are_channels(tmp_path):
    with tifffile.TiffWriter(tmp_path / 'a.tif') as file:
        for page in FIVE:
            file.write(page, contiguous=True)
    found = read_samples(tmp_path / 'a.tif', 5).values
    np.testing.assert_array_equal(found, FIVE.transpose(1, 2, 0))


def test_an_overview_of_a_cloud_optimised_file_is_passed_over(tmp_path):
    with tifffile.TiffWriter(tmp_path / 'a.tif') as file:
        rest = dict(photometric='minisblack', planarconfig='separate')
        file.write(FIVE, subifds=1, **rest)
        file.write(FIVE[:, ::2, ::2], subfiletype=1, **rest)
    assert read_samples(tmp_path / 'a.tif', 5).values.shape == (12, 20, 5)


def test_axes_that_are_both_of_that_length_have_to_be_said(tmp_path):
    values = FIVE[:, :, :5]  # (5, 12, 5)
    path = written(tmp_path / 'a.npy', values)
    with pytest.raises(ImageDecodeError, match=r'a\.npy: its shape is 5 x 12 x 5, .*channels_axis'):
        read_samples(path, 5)
    np.testing.assert_array_equal(read_samples(path, 5, 'last').values, values)
    np.testing.assert_array_equal(read_samples(path, 5, 'first').values, values.transpose(1, 2, 0))


def test_one_channel_and_axes_of_length_one(tmp_path):
    np.testing.assert_array_equal(
        read_samples(written(tmp_path / 'a.npy', FIVE[0]), 1).values, FIVE[0, ..., None]
    )
    stack = FIVE[None, :, None]  # time, channels, depth
    np.testing.assert_array_equal(
        read_samples(written(tmp_path / 'b.npy', stack), 5).values, FIVE.transpose(1, 2, 0)
    )


def test_png_of_16_bits_keeps_them_and_rgb_its_order(tmp_path):
    rgb = FIVE[:3].transpose(1, 2, 0)
    (tmp_path / 'a.png').write_bytes(cv2.imencode('.png', rgb[..., ::-1].copy())[1].tobytes())
    np.testing.assert_array_equal(read_samples(tmp_path / 'a.png', 3).values, rgb)
    (tmp_path / 'g.png').write_bytes(cv2.imencode('.png', FIVE[0])[1].tobytes())
    np.testing.assert_array_equal(read_samples(tmp_path / 'g.png', 1).values[..., 0], FIVE[0])


def test_photos_have_three_channels_and_grey_ones_one(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(save(picture(), 'JPEG'))
    assert read_samples(tmp_path / 'a.jpg', 3).values.shape == (48, 64, 3)
    (tmp_path / 'g.jpg').write_bytes(save(picture()[..., 0], 'JPEG'))
    assert read_samples(tmp_path / 'g.jpg', 1).values.shape == (48, 64, 1)


def test_what_a_geotiff_calls_no_data_is_found(tmp_path):
    tag = (42113, 's', 0, '-9999', True)
    path = written(tmp_path / 'a.tif', FIVE.astype(np.float32), extratags=[tag])
    assert read_samples(path, 5).nodata == -9999


def bomb():
    """A header of a terabyte, and nothing behind it."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, dict(descr='<f8', fortran_order=False, shape=(5, 400000, 400000))
    )
    return header.getvalue()


@pytest.mark.parametrize(
    ('name', 'content', 'sentence'),
    [
        ('a.npy', b'\x93NUMPY\x01\x00', 'a.npy'),
        ('a.npy', bomb(), 'MMDSSL_MAX_PIXELS'),
        ('a.tif', b'II*\0\x08\0\0\0', 'a.tif'),
        ('a.npz', b'PK\x03\x04', 'a.npz'),
        ('a.tif', b'', 'the file is empty'),
        ('a.png', b'\x89PNG\r\n\x1a\n', 'truncated PNG'),
    ],
)
def test_damaged_files_are_unreadable_and_nothing_else(name, content, sentence, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageDecodeError, match=sentence):
        read_samples(tmp_path / name, 5)
    assert samples_shape(tmp_path / name, 5) is None


@pytest.mark.parametrize(
    ('values', 'sentence'),
    [
        (FIVE[:4], r'it has 4 channels \(its shape is 4 x 12 x 20\), and channels=5 is set'),
        (FIVE[0], r'it has 1 channels \(its shape is 12 x 20\)'),
        (FIVE[None].repeat(2, 0), r'its shape is 2 x 5 x 12 x 20, not that of one image'),
        (FIVE.astype(np.complex64), 'its samples are no integers or floating-point numbers'),
    ],
)
def test_another_form_is_said_with_the_file(values, sentence, tmp_path):
    with pytest.raises(ImageDecodeError, match=rf'other\.npy: {sentence}'):
        read_samples(written(tmp_path / 'other.npy', values), 5)


def test_code_in_a_file_is_not_run(tmp_path):
    np.save(tmp_path / 'a.npy', np.array([print], object), allow_pickle=True)
    with pytest.raises(ImageDecodeError):
        read_samples(tmp_path / 'a.npy', 1)


def test_a_missing_package_is_one_sentence_and_no_bad_image(tmp_path, monkeypatch):
    path = written(tmp_path / 'a.tif', FIVE)
    monkeypatch.setitem(sys.modules, 'tifffile', None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'mmdssl\[formats\]'"):
        read_samples(path, 5)


def test_a_compression_that_needs_a_package_names_it(tmp_path, monkeypatch):
    path = written(tmp_path / 'a.tif', FIVE)

    def asarray(self, **_):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPageSeries, 'asarray', asarray)
    with pytest.raises(ModuleNotFoundError, match='pip install imagecodecs'):
        read_samples(path, 5)

"""mmcv's readers as mmdet and mmseg use them: limits, damage and names as in pre-training."""

import subprocess
import sys

import cv2
import numpy as np
import pytest

pytest.importorskip('mmcv.ops')
pytest.importorskip('mmseg')

import mmcv
from mmcv.transforms import LoadImageFromFile
from mmseg.datasets.transforms import LoadAnnotations

from mmdssl.datasets.image_header import ImageDecodeError
from mmdssl.engine.frameworks import check_framework
from tests.conftest import ROOT
from tests.datasets.image_files import save
from tests.datasets.test_jpeg_warnings import DETAIL, GOOD, PROGRESSIVE, damaged


@pytest.fixture(autouse=True)
def guarded():
    """As our commands do when they read a config of mmseg; twice is once."""
    from mmengine.config import Config

    for _ in range(2):
        check_framework(Config(dict(default_scope='mmseg')))


@pytest.fixture
def load(tmp_path):
    def from_file(data, name='photo.jpg', **options):
        (tmp_path / name).write_bytes(data)
        return LoadImageFromFile(**options)(dict(img_path=str(tmp_path / name)))

    return from_file


@pytest.mark.parametrize('data', [GOOD, PROGRESSIVE, save(DETAIL, 'PNG'), save(DETAIL, 'BMP')])
@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
def test_pixels_stay_those_of_mmcv(load, data, backend):
    want = mmcv.imfrombytes.__wrapped__(data, backend=backend)
    assert np.array_equal(load(data, imdecode_backend=backend)['img'], want)
    for options in (dict(flag='grayscale'), dict(channel_order='rgb'), dict(flag='unchanged')):
        want = mmcv.imfrombytes.__wrapped__(data, **options)
        assert np.array_equal(mmcv.imfrombytes(data, **options), want)


@pytest.mark.parametrize('data', [GOOD, PROGRESSIVE], ids=['baseline', 'progressive'])
def test_damage_inside_is_told_with_the_file(load, data):
    accepted, told = [], []
    for name, broken in damaged(data):
        try:
            image = load(broken)['img']
        except ImageDecodeError as error:
            told.append(str(error))
            continue
        want = mmcv.imfrombytes.__wrapped__(broken)
        assert np.array_equal(image, want)
        accepted.append(name)
    # Some damages of a progressive file leave codes that mean something.
    assert len(accepted) <= 1, accepted
    assert all('photo.jpg' in sentence for sentence in told)
    with pytest.raises(ImageDecodeError, match=r'photo\.jpg'):
        load(data[: len(data) // 2])


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'BMP', 'WEBP', 'TIFF', 'GIF'])
def test_the_limit_of_pixels_holds(load, monkeypatch, kind):
    data = save(DETAIL, kind)
    if kind != 'GIF':  # not every OpenCV reads it
        assert load(data)['img'].shape == DETAIL.shape
    monkeypatch.setenv('MMDSSL_MAX_PIXELS', str(DETAIL.shape[0] * DETAIL.shape[1] - 1))
    with pytest.raises(ImageDecodeError, match=r'photo\.jpg.*MMDSSL_MAX_PIXELS'):
        load(data)


def test_what_is_no_image_is_named(load):
    for data in (b'', b'not an image', save(DETAIL, 'PNG')[:-40]):
        with pytest.raises(ImageDecodeError, match=r'photo\.jpg'):
            load(data)
        assert load(data, ignore_empty=True) is None  # mmcv's own switch


def test_labels_that_eight_bits_do_not_hold_are_refused(tmp_path):
    def given(labels):
        file = tmp_path / 'map.png'
        cv2.imwrite(str(file), labels)
        results = dict(seg_map_path=str(file), reduce_zero_label=False, label_map=None)
        return LoadAnnotations().transform({**results, 'seg_fields': []})['gt_seg_map']

    labels = np.arange(12, dtype=np.uint16).reshape(3, 4)
    assert np.array_equal(given(labels), labels)
    with pytest.raises(ImageDecodeError, match=r'map\.png.*label 261 is above 255'):
        given(labels + 250)


def test_pre_training_leaves_mmcv_alone():
    code = (
        'import mmcv, mmdssl; from mmengine.config import Config\n'
        'from mmdssl.engine.frameworks import check_framework\n'
        "check_framework(Config(dict(default_scope='mmdssl')))\n"
        "assert not hasattr(mmcv.imfrombytes, '_mmdssl_checked')\n"
    )
    subprocess.run([sys.executable, '-c', code], check=True, cwd=ROOT)

"""A JPEG damaged inside is an unreadable image; what others write to the error stream stays."""

import os
import threading

import cv2
import numpy as np
import pytest

from mmdssl.datasets import jpeg_warnings
from mmdssl.datasets.decode import ImageDecodeError, decode_image
from tests.datasets.image_files import save

RNG = np.random.default_rng(0)
# Detail everywhere, so that every byte of the file matters.
DETAIL = cv2.resize(RNG.integers(0, 256, (60, 80, 3), dtype=np.uint8), (320, 240))
GOOD = save(DETAIL, 'JPEG', quality=92)
PROGRESSIVE = save(DETAIL, 'JPEG', quality=92, progressive=True)


def damaged(data):
    """(name, file) of damages in the second half of the file, behind all tables."""
    third = len(data) // 3
    noise = RNG.bytes(2048)
    yield 'cut, end marker kept', data[: 2 * third] + b'\xff\xd9'
    yield 'zeros inside', data[:third] + bytes(third) + data[2 * third :]
    yield 'noise inside', data[:third] + noise + data[third + len(noise) :]
    yield 'a block removed', data[:third] + data[2 * third :]
    yield 'a block twice', data[: 2 * third] + data[third:]
    yield 'ones inside', data[:third] + b'\xff' * 512 + data[third + 512 :]


@pytest.mark.parametrize('data', [GOOD, PROGRESSIVE], ids=['baseline', 'progressive'])
def test_damage_inside_counts_as_unreadable(data, capfd):
    decode_image(data)
    survived = []
    for name, broken in damaged(data):
        try:
            image = decode_image(broken)
        except ImageDecodeError as error:
            if not error.reason.startswith(('damaged inside', 'truncated', 'broken data stream')):
                survived.append((name, error.reason))
            continue
        wrong = np.abs(image.astype(int) - DETAIL).mean(axis=2) > 60
        survived.append((name, float(wrong.mean())))
    assert not survived
    assert 'Corrupt' not in capfd.readouterr().err


def test_cmyk_damaged_inside_too():
    from PIL import Image

    data = save(Image.fromarray(DETAIL).convert('CMYK'), 'JPEG', quality=92)
    decode_image(data)
    with pytest.raises(ImageDecodeError, match='damaged inside'):
        decode_image(data[: len(data) // 2] + b'\xff\xd9')


def test_padding_before_the_end_is_no_damage():
    for padding, fine in ((8, True), (200, False)):
        data = GOOD[:-2] + bytes([0x11] * padding) + b'\xff\xd9'
        if fine:
            np.testing.assert_array_equal(decode_image(data), decode_image(GOOD))
        else:
            with pytest.raises(ImageDecodeError, match='extraneous bytes before marker 0xd9'):
                decode_image(data)


def test_what_others_write_meanwhile_arrives(capfd, monkeypatch):
    decode = jpeg_warnings._decode

    def talk(*arguments):
        writer = threading.Thread(target=os.write, args=(2, b'from another thread\n'))
        writer.start()
        writer.join()
        return decode(*arguments)

    monkeypatch.setattr(jpeg_warnings, '_decode', talk)
    _, damage = jpeg_warnings.decode_jpeg(GOOD[: len(GOOD) // 2] + b'\xff\xd9', cv2.IMREAD_COLOR)
    assert 'premature end' in damage
    assert capfd.readouterr().err == 'from another thread\n'
    assert jpeg_warnings.decode_jpeg(GOOD, cv2.IMREAD_COLOR)[1] == ''


def test_works_in_a_forked_process_and_without_an_error_stream():
    decode_image(GOOD)
    broken = GOOD[: len(GOOD) // 2] + b'\xff\xd9'
    for close in (False, True):
        child = os.fork()
        if not child:
            code = 3
            try:
                if close:
                    os.close(2)
                image, damage = jpeg_warnings.decode_jpeg(broken, cv2.IMREAD_COLOR)
                code = 0 if image is not None and bool(damage) != close else 1
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with pytest.raises(ImageDecodeError, match='damaged inside'):
        decode_image(broken)


def test_real_photos_are_not_refused(shared):
    for path in sorted(shared('coco_mini/val2017').glob('*.jpg'))[::4]:
        decode_image(path)

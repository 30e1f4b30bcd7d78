"""HEIC and AVIF are read where a plug-in is installed, and named with its package where not."""

import sys
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, ImageFile

from mmdssl.datasets import picture_plugins
from mmdssl.datasets.decode import IMAGE_EXTENSIONS, decode_image
from mmdssl.datasets.image_folder import ImageFolder
from mmdssl.datasets.left_out import LeftOut
from tests.datasets.image_files import picture, save

MAGIC = b'\0\0\0\x18ftypheic'


@pytest.fixture
def heif(monkeypatch):
    """A package that says it reads HEIC: four grey pixels behind the magic bytes."""

    class FakeImage(ImageFile.ImageFile):
        format = 'FAKE_HEIF'

        def _open(self):
            self._size, self._mode = (2, 2), 'L'
            self.tile = [('raw', (0, 0, 2, 2), len(MAGIC), 'L')]

    def register_heif_opener():
        Image.register_open('FAKE_HEIF', FakeImage, lambda prefix: prefix.startswith(MAGIC))
        Image.register_extensions('FAKE_HEIF', ['.heic'])

    module = ModuleType('pillow_heif')
    module.register_heif_opener = register_heif_opener
    monkeypatch.setitem(sys.modules, 'pillow_heif', module)
    found = picture_plugins.importlib.util.find_spec
    monkeypatch.setattr(
        picture_plugins.importlib.util,
        'find_spec',
        lambda name: module if name == 'pillow_heif' else found(name),
    )
    monkeypatch.setattr(Image, 'OPEN', dict(Image.OPEN))
    monkeypatch.setattr(Image, 'ID', list(Image.ID))
    monkeypatch.setattr(Image, 'EXTENSION', dict(Image.EXTENSION))


def test_an_installed_plugin_is_registered_and_reads(heif, tmp_path):
    endings = picture_plugins.plugin_endings()
    assert '.heic' in endings
    (tmp_path / 'a.heic').write_bytes(MAGIC + bytes([10, 20, 30, 40]))
    dataset = ImageFolder(
        data_root=tmp_path, extensions=endings, cache=False, pipeline=[dict(type='LoadImage')]
    )
    assert dataset[0]['img'][..., 1].tolist() == [[10, 20], [30, 40]]


def test_what_pillow_itself_reads_counts(tmp_path):
    if '.avif' not in Image.registered_extensions():
        pytest.skip('this Pillow was built without AVIF')
    assert '.avif' in IMAGE_EXTENSIONS
    (tmp_path / 'a.avif').write_bytes(save(picture(), 'AVIF', quality=95))
    assert np.abs(decode_image(tmp_path / 'a.avif').astype(int) - picture()).mean() < 4
    assert len(ImageFolder(data_root=tmp_path, cache=False)) == 1


def test_without_a_plugin_the_line_names_the_package():
    left_out = LeftOut()
    left_out.other_ending(b'a.heic', [b'.jpg'])
    assert 'pip install pillow-heif' in left_out.sentence()
    other = LeftOut()
    other.other_ending(b'a.jxl', [b'.jpg'])
    assert 'pip install' not in other.sentence()

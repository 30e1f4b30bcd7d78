"""Shards hold the folder byte by byte, go on after an interrupt, and are what WebDataset reads."""

import json
import os

import pytest

from mmdssl.datasets.shards import making
from mmdssl.datasets.shards.files import shard_files
from mmdssl.datasets.shards.index import ShardIndex
from mmdssl.datasets.shards.making import index_shards, make_shards
from mmdssl.datasets.shards.names import image_of, member_of
from tests.datasets.shards.odd_folder import NAMES, odd_folder

SIZE = 16_000  # some pictures a shard


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return odd_folder(tmp_path_factory.mktemp('images'))


@pytest.fixture(scope='module')
def shards(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp('out') / 'shards'
    make_shards(folder, out, size=SIZE, progress=False)
    return out


def opened(out):
    return ShardIndex.open(shard_files(out))


def test_every_image_is_one_read_away(folder, shards):
    index = opened(shards)
    assert list(index.names) == list(NAMES)
    assert len(index.shards) > 2
    for number, name in enumerate(NAMES):
        image = index.image(number)
        assert image.read() == (folder / os.fsdecode(name)).read_bytes()
        assert image.path == str(shards / os.fsdecode(name))
    assert all((shards / os.fsdecode(one)).stat().st_size <= SIZE + 10240 for one in index.shards)


def test_webdataset_sees_a_sample_for_each_image(shards):
    webdataset = pytest.importorskip('webdataset', reason='its own reader is the judge')
    listed = json.loads((shards / 'shards.json').read_text())
    assert (listed['__kind__'], listed['wids_version']) == ('wids-shard-index-v1', 1)
    found = []
    for shard in listed['shardlist']:
        path = shards / shard['url']
        assert path.stat().st_size == shard['filesize']
        own = list(webdataset.WebDataset(str(path), shardshuffle=False))
        assert len(own) == shard['nsamples']
        found += own
    index = opened(shards)
    for number, sample in enumerate(found):
        kinds = {key for key in sample if not key.startswith('__')}
        assert len(kinds) == 1
        assert sample[kinds.pop()] == index.image(number).read()


def test_names_come_back_whatever_they_hold():
    taken: set[bytes] = set()
    members = [member_of(name, taken) for name in NAMES]
    assert len({name.partition(b'.')[0] for name in members if b'/' not in name}) == 5
    assert [image_of(name) for name in members] == list(NAMES)
    assert members[1] == b'a.jpg'  # most stay as they are


def test_an_index_made_from_the_tar_files_is_the_same(shards, tmp_path):
    for one in shards.glob('*.tar'):
        (tmp_path / one.name).symlink_to(one)
    index_shards(tmp_path, progress=False)
    assert (tmp_path / 'shards.npz').read_bytes() == (shards / 'shards.npz').read_bytes()


def test_interrupted_it_goes_on_and_becomes_the_same(folder, shards, tmp_path, monkeypatch):
    out, real, read = tmp_path / 'out', making.read_file, []

    def stopped(path):
        if len(read) == 7:
            raise KeyboardInterrupt
        read.append(path)
        return real(path)

    monkeypatch.setattr(making, 'read_file', stopped)
    with pytest.raises(KeyboardInterrupt):
        make_shards(folder, out, size=SIZE, progress=False)
    assert not (out / 'shards.npz').exists()
    before = {one.name: one.stat().st_mtime_ns for one in out.glob('*.tar')}
    assert before
    read.clear()
    monkeypatch.setattr(making, 'read_file', lambda path: read.append(path) or real(path))
    report = make_shards(folder, out, size=SIZE, progress=False)
    assert report.made == report.shards - len(before)
    assert len(read) < len(NAMES)
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before
    names = sorted(one.name for one in shards.iterdir())
    assert sorted(one.name for one in out.iterdir()) == names
    assert all((out / name).read_bytes() == (shards / name).read_bytes() for name in names)
    assert make_shards(folder, out, size=SIZE, progress=False).made == 0


def test_shards_of_other_images_are_not_overwritten(folder, shards, tmp_path):
    with pytest.raises(ValueError, match='holds shards of other images'):
        make_shards(folder, shards, size=4 * SIZE, progress=False)
    with pytest.raises(ValueError, match='lies within the images'):
        make_shards(folder, folder / 'out', progress=False)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='no image in'):
        make_shards(tmp_path / 'empty', tmp_path / 'out', progress=False)
    with pytest.raises(FileNotFoundError, match=r'no \.tar file'):
        index_shards(tmp_path / 'empty', progress=False)


def test_what_cannot_be_read_keeps_its_number(tmp_path, monkeypatch):
    folder = odd_folder(tmp_path / 'images')
    (folder / 'a.png').write_bytes(b'')  # read_file refuses it
    report = make_shards(folder, tmp_path / 'out', size=SIZE, progress=False)
    assert [name for name, _ in report.bad] == [b'a.png']
    index = opened(tmp_path / 'out')
    assert list(index.names) == list(NAMES)
    assert index.image(3).read() == b''
    assert make_shards(folder, tmp_path / 'out', size=SIZE, progress=False).made == 0

"""``mmdssl shards check``: each kind of damage is a sentence about its shard, and only that one."""

import io
import shutil
import tarfile

import numpy as np
import pytest

from mmdssl.cli.shards import main
from mmdssl.datasets.shards.checking import check_shards
from mmdssl.datasets.shards.making import make_shards
from tests.datasets.shards.odd_folder import odd_folder


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    folder = odd_folder(tmp_path_factory.mktemp('images'))
    out = tmp_path_factory.mktemp('out') / 'shards'
    make_shards(folder, out, size=16_000, progress=False)
    return out


@pytest.fixture
def out(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / 'shards')


def rewrite(path, keep=lambda name: True, extra=()):
    """A shard anew with some of its members, others, and its old length."""
    with tarfile.open(path) as old:
        kept = [(info, old.extractfile(info).read()) for info in old if keep(info.name)]
    length = path.stat().st_size
    with tarfile.open(path, 'w', format=tarfile.GNU_FORMAT) as new:
        for info, data in kept:
            new.addfile(info, io.BytesIO(data))
        for name in extra:
            new.addfile(tarfile.TarInfo(name))
    with path.open('r+b') as file:
        file.truncate(max(length, path.stat().st_size))


def test_whole_ones_are(whole, capsys):
    assert main(['check', str(whole)]) == 0
    assert 'shards, 10 images: whole' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('damage', 'sentence'),
    [
        (lambda p: p.unlink(), 'shard-000001.tar is missing: copy it again'),
        (lambda p: p.write_bytes(p.read_bytes()[:9000]), 'is cut short, 9000 of'),
        (lambda p: p.write_bytes(b'x' * p.stat().st_size), 'breaks off'),
        (
            lambda p: rewrite(p, lambda name: 'png' not in name),
            'lacks 2 images (a.png, ',
        ),
        (lambda p: rewrite(p, extra=['new.jpg']), '(new.jpg): make the index anew'),
    ],
    ids=['missing', 'truncated', 'overwritten', 'a member less', 'a member more'],
)
def test_each_damage_is_named(out, capsys, damage, sentence):
    damage(out / 'shard-000001.tar')
    assert main(['check', str(out)]) == 1
    said = capsys.readouterr().out
    assert sentence in said
    assert said.count('\n') == 1
    assert said.startswith('shard-000001.tar ')


def test_a_changed_byte_is_found(out):
    path = out / 'shard-000000.tar'
    data = bytearray(path.read_bytes())
    data[900] ^= 1  # within the first picture
    path.write_bytes(data)
    _, faults = check_shards(out, progress=False)
    assert faults == [f'{path.name} has 1 images with other bytes (a-b.jpg): copy it again']


def test_a_damaged_index_is_one_sentence(out, capsys):
    file = out / 'shards.npz'
    data = file.read_bytes()
    with np.load(file) as kept:
        arrays = {key: kept[key] for key in kept.files}
    for content, word in ((data[:500], 'or damaged'), (None, 'places'), (b'', 'or damaged')):
        if content is None:
            np.savez(file, **{**arrays, 'places': arrays['places'] - 10**6})
        else:
            file.write_bytes(content)
        assert main(['check', str(out)]) == 2
        error = capsys.readouterr().err
        assert word in error
        assert 'mmdssl shards index' in error
        assert error.count('\n') == 1
    file.unlink()
    assert main(['check', str(out)]) == 2
    assert 'has no shards.npz' in capsys.readouterr().err
    assert main(['index', str(out)]) == 0
    assert file.read_bytes() == data


@pytest.mark.parametrize('size', ['0', '1x', '-3', 'GB'])
def test_sizes_that_are_none(size, capsys):
    with pytest.raises(SystemExit):
        main(['make', 'a', 'b', f'--size={size}'])
    assert 'is no size like 500MB' in capsys.readouterr().err

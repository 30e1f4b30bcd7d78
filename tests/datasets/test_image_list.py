"""The list of images: complete, ordered, compact, and cached only as long as it is true."""

import os
import pickle
import time

import pytest

from mmdssl.datasets import image_list
from mmdssl.datasets.image_list import ByteStrings, list_images

ENDINGS = ('.jpg', '.png')


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def age(root):
    """Make folders look long untouched, as they are when a cached list matters."""
    past = time.time() - 3600
    for folder, _, _ in os.walk(root):
        os.utime(folder, (past, past))


def count_scans(monkeypatch):
    scans = []
    scan = image_list._scan
    monkeypatch.setattr(image_list, '_scan', lambda *a: (scans.append(1), scan(*a))[1])
    return scans


def test_finds_images_at_any_depth_in_an_order_of_names(tmp_path):
    touch(tmp_path, 'b/z.jpg', 'b/a.PNG', 'z.jpg', 'a.JpG', 'b/c/d/e/x.png', 'a/1.jpg')
    touch(tmp_path, 'notes.txt', 'b/jpg', '.hidden.jpg', '.trash/x.jpg', 'b/._z.jpg')
    (tmp_path / 'folder.jpg').mkdir()
    touch(tmp_path, 'folder.jpg/in.jpg')
    assert list(list_images(tmp_path, ENDINGS)) == [
        b'a.JpG', b'z.jpg', b'a/1.jpg', b'b/a.PNG', b'b/z.jpg', b'b/c/d/e/x.png',
        b'folder.jpg/in.jpg',
    ]  # fmt: skip


def test_links_are_followed_but_never_twice(tmp_path):
    touch(tmp_path, 'data/real/1.jpg')
    outside = tmp_path / 'outside'
    touch(outside, '2.jpg')
    (tmp_path / 'data/link').symlink_to(outside, target_is_directory=True)
    (tmp_path / 'data/real/loop').symlink_to(tmp_path / 'data', target_is_directory=True)
    (tmp_path / 'data/photo.jpg').symlink_to(outside / '2.jpg')
    assert sorted(list_images(tmp_path / 'data', ENDINGS)) == [
        b'link/2.jpg', b'photo.jpg', b'real/1.jpg',
    ]  # fmt: skip


def test_names_that_are_no_utf8_survive(tmp_path):
    name = b'caf\xe9.jpg'
    with open(os.path.join(os.fsencode(tmp_path), name), 'wb'):
        pass
    assert list(list_images(tmp_path, ENDINGS)) == [name]


def test_second_call_reads_the_list_instead_of_the_folder(tmp_path, monkeypatch):
    touch(tmp_path, 'a/1.jpg', 'b/2.jpg')
    age(tmp_path)
    scans = count_scans(monkeypatch)
    first = list_images(tmp_path, ENDINGS)
    second = list_images(tmp_path, ENDINGS)
    assert list(first) == list(second) == [b'a/1.jpg', b'b/2.jpg']
    assert len(scans) == 1


@pytest.mark.parametrize(
    'change',
    [
        lambda root: touch(root, 'a/new.jpg'),
        lambda root: touch(root, 'a/deep/new.jpg'),
        lambda root: (root / 'a/1.jpg').unlink(),
        lambda root: (root / 'a/1.jpg').rename(root / 'a/renamed.jpg'),
        lambda root: (root / 'b/2.jpg').unlink() or (root / 'b').rmdir(),
    ],
    ids=['added', 'added deeper', 'removed', 'renamed', 'folder removed'],
)
def test_a_changed_folder_is_scanned_anew(tmp_path, change):
    touch(tmp_path, 'a/1.jpg', 'b/2.jpg')
    age(tmp_path)
    list_images(tmp_path, ENDINGS)
    change(tmp_path)
    found = sorted(os.path.join(tmp_path, os.fsdecode(p)) for p in list_images(tmp_path, ENDINGS))
    assert found == sorted(str(p) for p in tmp_path.rglob('*.jpg'))


def test_a_folder_touched_a_moment_ago_proves_nothing(tmp_path, monkeypatch):
    touch(tmp_path, '1.jpg')
    scans = count_scans(monkeypatch)
    list_images(tmp_path, ENDINGS)
    list_images(tmp_path, ENDINGS)
    assert len(scans) == 2


def test_lists_of_other_endings_or_folders_are_not_mixed_up(tmp_path):
    touch(tmp_path, 'one/1.jpg', 'one/2.png', 'two/3.jpg')
    age(tmp_path)
    cache = tmp_path / 'list.npz'
    assert list(list_images(tmp_path / 'one', ENDINGS, cache)) == [b'1.jpg', b'2.png']
    assert list(list_images(tmp_path / 'one', ('.png',), cache)) == [b'2.png']
    assert list(list_images(tmp_path / 'two', ENDINGS, cache)) == [b'3.jpg']


def test_images_are_left_alone(tmp_path):
    touch(tmp_path, 'a/1.jpg')
    before = sorted(tmp_path.rglob('*'))
    list_images(tmp_path, ENDINGS)
    assert sorted(tmp_path.rglob('*')) == before


def test_unwritable_cache_is_done_without(tmp_path, monkeypatch):
    (tmp_path / 'file').touch()
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    touch(tmp_path, '1.jpg')
    assert list(list_images(tmp_path, ENDINGS)) == [b'1.jpg']


def test_damaged_cache_is_made_anew(tmp_path):
    touch(tmp_path / 'images', '1.jpg')
    age(tmp_path / 'images')
    cache = tmp_path / 'list.npz'
    cache.write_bytes(b'no zip file')
    assert list(list_images(tmp_path / 'images', ENDINGS, cache)) == [b'1.jpg']
    whole = cache.read_bytes()
    cache.write_bytes(whole[: len(whole) // 2])
    assert list(list_images(tmp_path / 'images', ENDINGS, cache)) == [b'1.jpg']
    assert cache.read_bytes() == whole


def test_wrong_paths_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no folder .*nowhere'):
        list_images(tmp_path / 'nowhere', ENDINGS)
    touch(tmp_path, 'a.jpg')
    with pytest.raises(NotADirectoryError, match='is a file'):
        list_images(tmp_path / 'a.jpg', ENDINGS)


def test_byte_strings_behave_as_a_sequence():
    words = [b'', b'a', b'bcd', b'', b'\xff\0']
    packed = ByteStrings.pack(iter(words))
    assert list(packed) == words
    assert len(packed) == 5
    assert packed[-1] == b'\xff\0'
    assert list(packed.take(packed.offsets[:2] + 2)) == [b'bcd', b'bcd']
    with pytest.raises(IndexError):
        packed[5]
    assert list(ByteStrings.pack([])) == []


def test_a_list_holds_bytes_and_offsets_only():
    paths = ByteStrings.pack(f'folder/{i:012d}.jpg'.encode() for i in range(10_000))
    assert len(pickle.dumps(paths, protocol=5)) < 10_000 * (23 + 8) + 1000

"""Faults of a folder: what is no image of it is left out, told, and never stops or blocks."""

import os
import socket

import pytest

from mmdssl.datasets.image_list import list_images
from mmdssl.datasets.left_out import is_clutter

ENDINGS = ('.jpg', '.png')


def said(monkeypatch, *arguments, **options):
    """The list and what the log says."""
    lines = []
    monkeypatch.setattr('mmdssl.datasets.image_list.print_log', lambda text, *_: lines.append(text))
    return list(list_images(*arguments, **options)), ' '.join(lines)


def make(kind, path):
    if kind == 'pipe':
        os.mkfifo(path)
    elif kind == 'socket':
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.path.relpath(path))
    elif kind == 'self':
        path.symlink_to(path.name)
    elif kind == 'two links':
        path.symlink_to('other.jpg')
        path.with_name('other.jpg').symlink_to(path.name)
    elif kind == 'nowhere':
        path.symlink_to('gone.jpg')
    elif kind == 'device':
        path.symlink_to('/dev/zero')


@pytest.mark.parametrize('kind', ['pipe', 'socket', 'self', 'two links', 'nowhere', 'device'])
def test_special_files_are_left_out_and_named(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    (tmp_path / 'a.jpg').touch()
    make(kind, tmp_path / 'x.jpg')
    found, text = said(monkeypatch, tmp_path, ENDINGS, cache=False)
    assert found == [b'a.jpg']
    assert 'left out: ' in text
    assert 'x.jpg' in text


def test_folders_that_link_to_themselves_do_not_matter(tmp_path, monkeypatch):
    (tmp_path / 'a.jpg').touch()
    (tmp_path / 'loop').symlink_to('loop')
    assert said(monkeypatch, tmp_path, ENDINGS, cache=False)[0] == [b'a.jpg']


def test_folders_that_may_not_be_read_are_left_out(tmp_path, monkeypatch):
    for name in ('a.jpg', 'lost+found/b.jpg', 'c/d.jpg'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    scan = os.scandir

    def guarded(path):
        if os.fsencode(path).endswith(b'lost+found'):
            raise PermissionError(13, 'Permission denied', path)
        return scan(path)

    monkeypatch.setattr(os, 'scandir', guarded)
    found, text = said(monkeypatch, tmp_path, ENDINGS)
    assert found == [b'a.jpg', b'c/d.jpg']
    assert '1 folders that may not be read (lost+found)' in text
    # Whoever may read it later must find it: such a list is not kept.
    monkeypatch.setattr(os, 'scandir', scan)
    assert b'lost+found/b.jpg' in said(monkeypatch, tmp_path, ENDINGS)[0]
    monkeypatch.setattr(os, 'scandir', lambda path: guarded(b'lost+found'))
    with pytest.raises(PermissionError):
        list_images(tmp_path, ENDINGS, cache=False)


def test_other_pictures_are_counted_with_and_without_a_kept_list(tmp_path, monkeypatch):
    for name in ('a.jpg', '1.AVIF', '2.avif', 'x/3.heic', 'notes.txt', 'b.jpeg', '._c.heic'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for folder in (tmp_path, tmp_path / 'x'):
        os.utime(folder, (1e9, 1e9))
    kept = tmp_path.parent / 'kept.npz'
    first = said(monkeypatch, tmp_path, ENDINGS, cache=kept)
    again = said(monkeypatch, tmp_path, ENDINGS, cache=kept)
    assert kept.exists()
    for found, text in (first, again):
        assert found == [b'a.jpg']
        assert '2 pictures ending in .avif (1.AVIF, 2.avif)' in text
        assert '1 pictures ending in .heic (x/3.heic)' in text
        assert '1 pictures ending in .jpeg (b.jpeg)' in text
        assert 'txt' not in text
    text = said(monkeypatch, tmp_path, ('.jpg', '.avif', '.heic', '.jpeg'), cache=False)[1]
    assert 'left out' not in text


@pytest.mark.parametrize('name', [b'._x.jpg', b'.DS_Store', b'@eaDir', b'__MACOSX', b'.x'])
def test_clutter_is_left_out_silently(name, tmp_path, monkeypatch):
    assert is_clutter(name)
    (tmp_path / 'a.jpg').touch()
    folder = tmp_path / os.fsdecode(name)
    folder.mkdir()
    (folder / 'thumb.jpg').touch()
    found, text = said(monkeypatch, tmp_path, ENDINGS, cache=False)
    assert found == [b'a.jpg']
    assert 'left out' not in text


def test_names_that_are_no_utf8_are_told_readably(tmp_path, monkeypatch):
    open(os.fsencode(tmp_path) + b'/caf\xe9.avif', 'w').close()
    (tmp_path / 'a.jpg').touch()
    text = said(monkeypatch, tmp_path, ENDINGS, cache=False)[1]
    assert r'caf\xe9.avif' in text
    text.encode('utf-8')


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04', b'x' * 100, b'PK\x05\x06' + bytes(18)])
def test_a_damaged_kept_list_is_made_anew(content, tmp_path, monkeypatch):
    (tmp_path / 'a.jpg').touch()
    kept = tmp_path.parent / 'kept.npz'
    kept.write_bytes(content)
    found, text = said(monkeypatch, tmp_path, ENDINGS, cache=kept)
    assert found == [b'a.jpg']
    assert 'made anew' in text

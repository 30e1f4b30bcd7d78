"""Text of any Unicode encoding that says what it is; anything else is told."""

import os

import pytest

from mmdssl.core.text_files import read_json, read_text


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-32'])
def test_encodings_with_a_mark_are_read(tmp_path, encoding):
    path = tmp_path / 'x.txt'
    path.write_bytes('Kätzchen\nHündchen\n'.encode(encoding))
    assert read_text(path).split() == ['Kätzchen', 'Hündchen']


@pytest.mark.parametrize('content', ['K\xe4tzchen'.encode('latin-1'), b'\xff\xfe\x00', b'\x81'])
def test_other_encodings_are_told(tmp_path, content):
    path = tmp_path / 'x.txt'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'x\.txt is not .*save it as UTF-8'):
        read_text(path)


@pytest.mark.parametrize('read', [read_text, read_json])
def test_only_regular_files_are_read(tmp_path, read):
    os.mkfifo(tmp_path / 'pipe')  # would block for ever
    for name in ('pipe', '.'):
        with pytest.raises(ValueError, match='no regular file'):
            read(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / 'none')


def test_a_file_beyond_the_memory_is_told(tmp_path, monkeypatch):
    path = tmp_path / 'x.json'
    path.write_text('[1]')

    def full(*_):
        raise MemoryError

    monkeypatch.setattr('json.loads', full)
    with pytest.raises(ValueError, match=r'x\.json does not fit into the memory'):
        read_json(path)

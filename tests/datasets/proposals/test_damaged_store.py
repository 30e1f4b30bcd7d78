"""Faults of proposals files, injected one by one: each is one sentence that says what to do."""

import io
import json
import shutil
import struct
import zipfile
import zlib

import numpy as np
import pytest

from mmdssl.datasets.proposals import making
from mmdssl.datasets.proposals.filters import ProposalFilter
from mmdssl.datasets.proposals.fingerprint import UNKNOWN, fingerprint
from mmdssl.datasets.proposals.making import make_proposals
from mmdssl.datasets.proposals.parts import parts_folder
from mmdssl.datasets.proposals.producers import ProposalSettings
from mmdssl.datasets.proposals.store import Entry, ProposalStore, _digest, write_store
from mmdssl.datasets.proposals.validation import validate_proposals
from tests.datasets.image_files import picture, save

SETTINGS = ProposalSettings(filter=ProposalFilter(min_side=8))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'p.npz'
    boxes = np.array([[0, 0, 20, 20], [5, 5, 30, 30]])
    names = (b'a.jpg', b'b.jpg', b'c.jpg')
    entries = [Entry(n, (48, 64), 0, boxes, np.array([1, 2]), 7) for n in names]
    write_store(path, entries, parameters=dict(scale=300))
    return path


def contents(path):
    with np.load(path) as kept:
        arrays = {key: kept[key] for key in kept.files}
    return arrays, json.loads(arrays.pop('facts').tobytes())


def rewrite(path, arrays, facts, *, hashed=True):
    """A file with a hash that fits, as somebody would write it who means harm."""
    if hashed:
        facts['sha256'] = _digest(arrays, facts)
    text = facts if isinstance(facts, bytes) else json.dumps(facts).encode()
    np.savez(path, facts=np.frombuffer(text, np.uint8), **arrays)


ARRAYS = {
    'no prints': lambda a: a.update(prints=a['prints'][:1]),
    'names too short': lambda a: a.update(names=a['names'][:-3]),
    'starts beyond': lambda a: a['starts'].__setitem__(-1, 10**12),
    'starts negative': lambda a: a['starts'].__setitem__(1, -5),
    'starts missing': lambda a: a.update(starts=a['starts'][:2]),
    'starts empty': lambda a: a.update(starts=a['starts'][:0]),
    'offsets beyond': lambda a: a['offsets'].__setitem__(-1, 10**12),
    'offsets back': lambda a: a['offsets'].__setitem__(1, 5),
    'boxes of five': lambda a: a.update(boxes=np.zeros((6, 5), np.int16)),
    'boxes flat': lambda a: a.update(boxes=a['boxes'].ravel()),
    'boxes float': lambda a: a.update(boxes=a['boxes'].astype(float)),
    'boxes text': lambda a: a.update(boxes=a['boxes'].astype(str)),
    'shapes zero': lambda a: a['shapes'].__setitem__(0, 0),
    'shapes of three': lambda a: a.update(shapes=np.ones((3, 3), np.int32)),
    'shapes none': lambda a: a.update(shapes=np.int32(3)),
    'rules short': lambda a: a.update(rules=a['rules'][:1]),
    'counts short': lambda a: a.update(counts=a['counts'][:1]),
    'counts zero': lambda a: a['counts'].__setitem__(0, 0),
    'names unsorted': lambda a: a['names'].__setitem__(0, ord('z')),
    'outside': lambda a: a['boxes'].__setitem__((0, 2), 300),
}
FACTS = {
    'list': b'[1, 2]',
    'text': b'"x"',
    'none': b'null',
    'deep': b'[' * 100_000,
    'no json': b'\x00\xff',
    'empty': b'',
    'parameters none': b'{"format": 2, "parameters": null, "versions": {}}',
    'parameters list': b'{"format": 2, "parameters": [], "versions": {}}',
    'no versions': b'{"format": 2, "parameters": {}}',
    'format list': b'{"format": [2], "parameters": {}, "versions": {}}',
    'no format': b'{"parameters": {}, "versions": {}}',
    'no hash': b'{"format": 2, "parameters": {}, "versions": {}}',
}


def vast(path):
    """An array whose header claims more numbers than there is memory."""
    head = io.BytesIO()
    spec = dict(descr='<i8', fortran_order=False, shape=(10**15,))
    np.lib.format.write_array_header_1_0(head, spec)
    with zipfile.ZipFile(path, 'a') as archive:
        archive.writestr('facts.npy', head.getvalue())


def fault(path, how):
    data = path.read_bytes()
    if how == 'vast':
        path.unlink()
        vast(path)
        return
    path.write_bytes(
        {
            'empty': b'',
            'cut': data[: len(data) // 2],
            'cut at the end': data[:-30],
            'text': b'hello',
            'web page': b'<!DOCTYPE html><html>',
            'pointer': b'version https://git-lfs.github.com/spec/v1',
            'pickle': b'\x80\x04.',
            'zip of nothing': b'PK\x05\x06' + bytes(18),
            'one bit': bytes(b ^ (4 if n == len(data) // 2 else 0) for n, b in enumerate(data)),
            'encrypted': data.replace(b'PK\x03\x04\x2d\x00\x00', b'PK\x03\x04\x2d\x00\x01').replace(
                b'PK\x01\x02\x2d\x03\x2d\x00\x00', b'PK\x01\x02\x2d\x03\x2d\x00\x01'
            ),
            'npy': b'\x93NUMPY\x01\x00' + struct.pack('<H', 10) + b'{"a": 1}  ',
        }[how]
    )


FILES = (
    'empty', 'cut', 'cut at the end', 'text', 'web page', 'pointer', 'pickle', 'zip of nothing',
    'one bit', 'encrypted', 'npy', 'vast',
)  # fmt: skip


def refuse(path):
    with pytest.raises(ValueError, match='anew') as caught:
        ProposalStore.open(path, expect=dict(scale=300))
    text = str(caught.value)
    assert path.name in text
    assert '\n' not in text
    assert len(text) < 500


@pytest.mark.parametrize('how', FILES)
def test_a_file_that_is_damaged_is_one_sentence(file, how):
    fault(file, how)
    refuse(file)


@pytest.mark.parametrize('how', FACTS)
def test_facts_that_are_none_are_one_sentence(file, how):
    arrays, _ = contents(file)
    rewrite(file, arrays, FACTS[how], hashed=False)
    refuse(file)


@pytest.mark.parametrize('how', ARRAYS)
def test_arrays_that_do_not_fit_together_are_one_sentence(file, how):
    arrays, facts = contents(file)
    arrays = {key: array.copy() for key, array in arrays.items()}
    ARRAYS[how](arrays)
    rewrite(file, arrays, facts)
    refuse(file)


def test_what_is_whole_is_still_read(file):
    arrays, facts = contents(file)
    rewrite(file, arrays, facts)
    assert len(ProposalStore.open(file)) == 3


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    for n in range(3):
        (folder / f'{n}.jpg').write_bytes(save(np.roll(picture(), 9 * n, axis=1), 'JPEG'))
    return folder


@pytest.mark.parametrize(
    'record', [b'[1]', b'{}', b'\xff', b'{"parameters": 1, "versions": 2}', b'[' * 50_000]
)
def test_a_part_whose_facts_are_none_is_one_sentence(images, tmp_path, record):
    folder = parts_folder(tmp_path / 'out.npz')
    folder.mkdir()
    part = folder / '0-of-1.part'
    part.write_bytes(struct.pack('<II', len(record), zlib.crc32(record)) + record)
    with pytest.raises(ValueError, match=r'0-of-1\.part (is damaged|has proposals format)'):
        make_proposals(images, tmp_path / 'out.npz', SETTINGS, progress=False)


def test_other_pictures_of_the_same_names_and_sizes_are_noticed(images, tmp_path, monkeypatch):
    out = tmp_path / 'out.npz'
    make_proposals(images, out, SETTINGS, progress=False)
    assert not validate_proposals(images, out, progress=False)
    report = make_proposals(images, out, SETTINGS, progress=False)
    assert (report.made, report.changed, report.written, report.complete) == (0, 0, False, True)

    (images / '1.jpg').write_bytes(save(255 - picture(), 'JPEG'))
    (sentence,) = validate_proposals(images, out, progress=False)
    assert '1 images have other contents' in sentence
    assert '1.jpg' in sentence
    searched = []
    search = making._search
    monkeypatch.setattr(making, '_search', lambda *a: (searched.append(a[-1]), search(*a))[1])
    report = make_proposals(images, out, SETTINGS, progress=False)
    assert searched == [b'1.jpg']
    assert (report.made, report.changed, report.written) == (1, 1, True)
    assert not validate_proposals(images, out, progress=False)
    # An interrupted search whose pictures are exchanged before it goes on.
    (images / '1.jpg').write_bytes(b'no image')
    report = make_proposals(images, out, SETTINGS, progress=False)
    assert [bad.name for bad in report.bad] == [b'1.jpg']
    assert b'1.jpg' not in [ProposalStore.open(out).names[n] for n in range(2)]


def test_fingerprints_tell_contents_not_names(images, tmp_path):
    shutil.copy(images / '0.jpg', tmp_path / 'copy.jpg')
    assert fingerprint(tmp_path / 'copy.jpg') == fingerprint(images / '0.jpg') != UNKNOWN
    seen = {fingerprint(images / f'{n}.jpg') for n in range(3)}
    assert len(seen) == 3
    assert fingerprint(tmp_path / 'none.jpg') == UNKNOWN
    large = bytes(100_000)
    for place in (0, 99_999):  # beginning and end count
        (tmp_path / 'x').write_bytes(large)
        before = fingerprint(tmp_path / 'x')
        (tmp_path / 'x').write_bytes(large[:place] + b'y' + large[place + 1 :])
        assert fingerprint(tmp_path / 'x') != before

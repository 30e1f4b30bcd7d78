import json
import os
import signal
import subprocess
import sys
import threading
import zlib
from collections import Counter

import numpy as np
import pytest

from mmdssl.datasets.decode import decode_image
from mmdssl.datasets.proposals import making, parts
from mmdssl.datasets.proposals.filters import ProposalFilter, Rule
from mmdssl.datasets.proposals.making import make_proposals, merge_proposals
from mmdssl.datasets.proposals.parts import PartFile, parts_folder
from mmdssl.datasets.proposals.producers import ProposalSettings
from mmdssl.datasets.proposals.store import ProposalStore
from mmdssl.datasets.proposals.validation import validate_proposals
from tests.conftest import ROOT
from tests.datasets.image_files import save, turned_exif
from tests.datasets.proposals.photos import folder_of_photos, photo

pytest.importorskip('numba')
SETTINGS = ProposalSettings()


@pytest.fixture
def images(tmp_path):
    return folder_of_photos(tmp_path / 'images', 6)


@pytest.fixture
def searched(monkeypatch):
    """Names of the images that are searched."""
    names = []
    search = making._search

    def noted(settings, folder, name):
        names.append(name.decode())
        return search(settings, folder, name)

    monkeypatch.setattr(making, '_search', noted)
    return names


def interrupt_after(number, monkeypatch, how):
    """Let ``how`` happen while image ``number`` is searched."""
    search, calls = making._search, []

    def interrupted(settings, folder, name):
        calls.append(name)
        if len(calls) > number:
            how()
        return search(settings, folder, name)

    monkeypatch.setattr(making, '_search', interrupted)


def make(images, out, settings=SETTINGS, **options):
    return make_proposals(images, out, settings, progress=False, **options)


def test_file_holds_what_search_and_filter_give(images, tmp_path):
    report = make(images, tmp_path / 'out.npz')
    assert report.complete
    assert report.total == report.made == 6
    assert report.rules == {Rule.FULL: 6}
    store = ProposalStore.open(tmp_path / 'out.npz', expect=SETTINGS.parameters())
    assert [store.names[i] for i in range(6)] == sorted(
        [b'0.png', b'sub/1.png', b'2.png', b'sub/3.png', b'4.png', b'sub/5.png']
    )
    image = decode_image(images / 'sub' / '3.png')
    rows = SETTINGS.filter.apply(SETTINGS.search(image), *image.shape[:2])[0]
    corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:] - 1], axis=1)
    assert Counter(map(tuple, store.boxes('sub/3.png').tolist())) == Counter(
        map(tuple, corners.tolist())
    )
    assert report.boxes == store.num_boxes < report.rows
    assert report.rows == sum(len(store.boxes(row)) for row in range(6))
    assert 'numba' in store.facts['versions']
    assert not parts_folder(tmp_path / 'out.npz').exists()


def test_processes_and_shards_give_the_same_file_as_one(images, tmp_path):
    make(images, tmp_path / 'one.npz')
    out = tmp_path / 'many.npz'
    assert not make(images, out, workers=2, shard=(0, 2)).complete
    with pytest.raises(ValueError, match=r'3 of 6 images have not been searched yet'):
        merge_proposals(images, out, SETTINGS)
    make(images, out, shard=(1, 2))
    assert merge_proposals(images, out, SETTINGS).complete
    facts = [ProposalStore.open(tmp_path / f'{name}.npz').facts for name in ('one', 'many')]
    assert facts[0] == facts[1]  # the hash covers all arrays
    assert not parts_folder(out).exists()


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_search_goes_on_without_repeating(
    images, tmp_path, monkeypatch, searched, number
):
    out = tmp_path / 'out.npz'
    with monkeypatch.context() as patch:
        interrupt_after(4, patch, lambda: os.kill(os.getpid(), number))
        with pytest.raises(KeyboardInterrupt):
            make(images, out)
    assert not out.exists()
    before = list(searched)
    searched.clear()
    report = make(images, out)
    assert report.complete
    assert set(before[:4]).isdisjoint(searched)
    assert len(searched) == report.made == 2
    make(images, tmp_path / 'whole.npz')
    assert ProposalStore.open(out).facts == ProposalStore.open(tmp_path / 'whole.npz').facts


def test_a_record_cut_short_is_searched_again(images, tmp_path, searched):
    out = tmp_path / 'out.npz'
    make(images, out, shard=(0, 2))
    (part,) = parts_folder(out).glob('*.part')
    part.write_bytes(part.read_bytes()[:-5])
    searched.clear()
    make(images, out, shard=(0, 2))
    assert len(searched) == 1
    searched.clear()
    make(images, out, shard=(0, 2))
    assert not searched


def test_a_journal_of_another_format_is_refused(images, tmp_path):
    out = tmp_path / 'out.npz'
    make(images, out, shard=(0, 2))
    (part,) = parts_folder(out).glob('*.part')
    (_, facts), *_ = parts._records(part)
    old = json.dumps({k: v for k, v in json.loads(facts).items() if k != 'format'}).encode()
    part.write_bytes(parts._FRAME.pack(len(old), zlib.crc32(old)) + old)
    with pytest.raises(ValueError, match=r'format 1, which kept repeated .* remove it and make it'):
        make(images, out, shard=(0, 2))


def test_bad_images_are_skipped_reported_and_added_once_repaired(images, tmp_path, searched):
    good = (images / '2.png').read_bytes()
    (images / '2.png').write_bytes(good[:100])
    report = make(images, tmp_path / 'out.npz')
    assert report.complete
    assert [bad.name for bad in report.bad] == [b'2.png']
    assert 'truncated' in report.bad[0].reason
    assert '2.png' not in ProposalStore.open(tmp_path / 'out.npz')
    (images / '2.png').write_bytes(good)
    searched.clear()
    report = make(images, tmp_path / 'out.npz')
    assert searched == ['2.png']
    assert not report.bad
    assert '2.png' in ProposalStore.open(tmp_path / 'out.npz')


def test_nothing_readable_is_an_error(tmp_path):
    (tmp_path / 'x.png').write_bytes(b'no')
    with pytest.raises(ValueError, match=r'none of the 1 images can be read, the first is x\.png'):
        make(tmp_path, tmp_path / 'out.npz')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='no image in'):
        make(tmp_path / 'empty', tmp_path / 'out.npz')


def test_other_settings_never_mix(images, tmp_path):
    out = tmp_path / 'out.npz'
    other = ProposalSettings(filter=ProposalFilter(min_side=20))
    make(images, out, shard=(0, 2))
    with pytest.raises(ValueError, match=r'part were made with min_side=32, not 20'):
        make(images, out, other, shard=(0, 2))
    make(images, out)
    with pytest.raises(ValueError, match=r'npz were made with min_side=32, not 20'):
        make(images, out, other)


def test_one_part_has_one_writer(tmp_path):
    facts = dict(parameters={}, versions={})
    with (
        PartFile(tmp_path / '0-of-1.part', facts),
        pytest.raises(ValueError, match='is being written by this process'),
        PartFile(tmp_path / '0-of-1.part', facts),
    ):
        pass


_WRITER = """
import os, sys
from pathlib import Path
from mmdssl.datasets.proposals.parts import PartFile
with PartFile(Path(sys.argv[1]), dict(parameters={}, versions={})):
    worker = os.fork()
    if worker:
        print('open', flush=True)
    sys.stdin.read()
    os._exit(0)
"""


def test_workers_of_a_killed_writer_do_not_keep_its_part(tmp_path):
    path, facts = tmp_path / '0-of-1.part', dict(parameters={}, versions={})
    writer = subprocess.Popen(
        [sys.executable, '-c', _WRITER, path],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with writer:  # its worker lives until the end of this block closes the pipe
        assert writer.stdout.readline() == 'open\n'
        with pytest.raises(ValueError, match=f'by process {writer.pid} on'), PartFile(path, facts):
            pass
        writer.kill()
        writer.wait()
        with PartFile(path, facts):
            pass


def test_images_removed_from_the_folder_leave_the_file(images, tmp_path):
    make(images, tmp_path / 'out.npz')
    (images / '0.png').unlink()
    make(images, tmp_path / 'out.npz')
    assert len(ProposalStore.open(tmp_path / 'out.npz')) == 5


def test_shards_outside_the_range_are_refused(images, tmp_path):
    with pytest.raises(ValueError, match='shard 2/2 does not exist: count from 0 to 1'):
        make(images, tmp_path / 'out.npz', shard=(2, 2))


def test_works_outside_the_main_thread(images, tmp_path):
    thread = threading.Thread(target=make, args=(images, tmp_path / 'out.npz'))
    thread.start()
    thread.join()
    assert len(ProposalStore.open(tmp_path / 'out.npz')) == 6


def test_validation_names_missing_changed_and_superfluous_images(images, tmp_path):
    out = tmp_path / 'out.npz'
    make(images, out)
    assert validate_proposals(images, out, expect=SETTINGS.parameters(), progress=False) == []
    (images / '0.png').rename(images / 'new.png')
    (images / '2.png').write_bytes(b'no image')
    (images / '4.png').write_bytes(save(photo(4, 100, 90), 'PNG'))
    missing, changed, extra = validate_proposals(images, out, progress=False)
    assert missing.startswith(f'1 images are not in {out}: new.png;')
    assert changed.startswith('2 images')
    assert '4.png (was 96 x 128, is 100 x 90)' in changed
    assert '2.png (was 96 x 128, is unreadable)' in changed
    assert extra.startswith(f'1 images of {out} are not in the folder: 0.png')


def test_validation_knows_turned_photos(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    (folder / 'a.jpg').write_bytes(save(photo(0), 'JPEG', exif=turned_exif()))
    for exif in (True, False):
        out, settings = tmp_path / f'{exif}.npz', ProposalSettings(exif=exif)
        make(folder, out, settings)
        assert ProposalStore.open(out).shape(0) == ((128, 96) if exif else (96, 128))
        assert validate_proposals(folder, out, progress=False) == []

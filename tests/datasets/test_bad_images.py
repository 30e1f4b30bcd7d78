"""The journal of bad images: shared by processes, read once, with a limit."""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time

import pytest

from mmdssl.datasets.bad_images import BadImage, BadImages, TooManyBadImagesError


def add_some(journal: BadImages, numbers: range) -> None:
    for number in numbers:
        journal.add(number, f'{number}.jpg', 'broken')


@pytest.mark.filterwarnings('ignore:.*cannot be read')
@pytest.mark.parametrize('method', ['fork', pytest.param('spawn', marks=pytest.mark.slow)])
def test_processes_share_one_journal(tmp_path, method):
    journal = BadImages(total=1000, max_share=1, path=tmp_path / 'bad.txt')
    context = multiprocessing.get_context(method)
    # Two processes, 40 images of which 10 are found by both.
    workers = [
        context.Process(target=add_some, args=(journal, numbers))
        for numbers in (range(25), range(15, 40))
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert len(journal) == 40
    assert {entry.sample for entry in journal.read()} == set(range(40))
    assert all(entry.path == f'{entry.sample}.jpg' for entry in journal.read())


@pytest.mark.filterwarnings('ignore:.*cannot be read')
def test_limit_counts_what_other_processes_found(tmp_path):
    path = tmp_path / 'bad.txt'
    one = BadImages(total=300, max_share=0.05, path=path)
    other = BadImages(total=300, max_share=0.05, path=path)
    add_some(one, range(8))
    add_some(other, range(8, 15))  # 15 of 300 is exactly 5 %
    with pytest.raises(TooManyBadImagesError, match=r'16 of 300 images \(5.3%\)') as caught:
        one.add(99, '99.jpg', 'broken')
    assert str(path) in str(caught.value)
    assert 'max_bad_share' in str(caught.value)


@pytest.mark.filterwarnings('ignore:.*cannot be read')
def test_a_few_bad_images_are_tolerated_in_a_small_set(tmp_path):
    journal = BadImages(total=20, max_share=0.05, min_count=10, path=tmp_path / 'bad.txt')
    add_some(journal, range(10))
    with pytest.raises(TooManyBadImagesError, match='11 of 20'):
        journal.add(10, '10.jpg', 'broken')


def test_only_the_first_bad_image_of_a_run_warns(tmp_path, recwarn):
    path = tmp_path / 'bad.txt'
    BadImages(total=100, path=path).add(1, 'one.jpg', 'the file is empty')
    BadImages(total=100, path=path).add(2, 'two.jpg', 'the file is empty')
    messages = [str(w.message) for w in recwarn]
    assert len(messages) == 1
    assert 'one.jpg' in messages[0]
    assert str(path) in messages[0]


@pytest.mark.filterwarnings('ignore:.*cannot be read')
def test_odd_file_names_do_not_break_the_journal(tmp_path):
    journal = BadImages(total=100, path=tmp_path / 'bad.txt')
    journal.add(0, 'a\tb\nc\u2028d.jpg', 'two\nlines')
    journal.add(1, 'not utf-8: \udcff.jpg', 'broken')
    again = BadImages(total=100, path=tmp_path / 'bad.txt')
    assert again.read() == [
        BadImage(0, 'a b c d.jpg', 'two lines'),
        BadImage(1, 'not utf-8: \udcff.jpg', 'broken'),
    ]


def test_no_bad_image_leaves_no_file(tmp_path):
    journal = BadImages(total=10, path=tmp_path / 'bad.txt')
    assert journal.read() == []
    assert 3 not in journal
    assert not journal.path.exists()


@pytest.mark.filterwarnings('ignore:.*cannot be read')
def test_half_written_line_is_left_for_the_next_look(tmp_path):
    journal = BadImages(total=100, path=tmp_path / 'bad.txt')
    journal.add(0, 'a.jpg', 'broken')
    with open(journal.path, 'ab') as file:
        file.write(b'1\tb.jpg')
    assert len(journal) == 1
    with open(journal.path, 'ab') as file:
        file.write(b'\tbroken\n')
    assert len(journal) == 2


def test_share_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r'0\.\.1, got 5'):
        BadImages(total=10, max_share=5)


_PROCESS = """
import os, sys
from mmdssl.datasets.bad_images import BadImages, TooManyBadImagesError
journal = BadImages(total=20, min_count=3)
if os.fork() == 0:  # a worker ends, and its copy of the journal with it
    journal.add(0, 'a.jpg', 'broken')
    del journal
    os._exit(0)
os.wait()
assert len(journal) == 1
try:
    for number in range(int(sys.argv[1])):
        journal.add(number, 'a.jpg', 'broken')
except TooManyBadImagesError as error:
    print(error)
"""


def test_journals_go_with_their_process_unless_they_ended_it(tmp_path):
    def run(images):
        return subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', _PROCESS, str(images)],
            env={**os.environ, 'TMPDIR': str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert run(2) == ''
    assert list(tmp_path.iterdir()) == []
    said = run(5)
    (kept,) = tmp_path.iterdir()
    assert str(kept) in said


def test_journals_of_killed_processes_go_after_a_day(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    ended = subprocess.Popen(['true'])
    ended.wait()
    names = {
        'old': f'mmdssl_bad_images_{ended.pid}_00000001.txt',
        'new': f'mmdssl_bad_images_{ended.pid}_00000002.txt',
        'alive': f'mmdssl_bad_images_{os.getpid()}_00000003.txt',
        'other': 'mmdssl_bad_images_of_mine.txt',
    }
    for kind, name in names.items():
        (tmp_path / name).touch()
        if kind != 'new':
            os.utime(tmp_path / name, (time.time() - 2 * 24 * 3600,) * 2)
    BadImages(total=10)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {names['new'], names['alive'], names['other']}

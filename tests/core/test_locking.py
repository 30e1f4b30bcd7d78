"""The lock: one holder at a time, and none after its death."""

import os
import signal
import subprocess
import sys
import time

import pytest

from mmdssl.core.locking import FileLock, LockedError
from tests.conftest import ROOT

_HOLD = """
import os, sys, time
from mmdssl.core.locking import FileLock
with FileLock(sys.argv[1]):
    if os.fork() == 0:  # a loader worker that outlives its parent
        time.sleep(float(sys.argv[2]))
        os._exit(0)
    print('held', flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock, with a forked child that lives for some seconds more."""
    run = subprocess.Popen(
        [sys.executable, '-c', _HOLD, str(tmp_path / 'lock'), '8'],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout.readline() == 'held\n'
    yield run
    run.kill()
    run.wait()


def test_second_process_is_told_who_holds_it(tmp_path, holder):
    with pytest.raises(LockedError, match=f'process {holder.pid} on '), FileLock(tmp_path / 'lock'):
        pass
    assert (tmp_path / 'lock').exists()


def test_killed_holder_holds_nothing_although_its_child_lives(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with FileLock(tmp_path / 'lock'):
        assert str(os.getpid()) in (tmp_path / 'lock').read_text()
    assert not (tmp_path / 'lock').exists()


def test_waiting_ends_with_the_holder(tmp_path, holder):
    begin = time.monotonic()
    subprocess.Popen(['sh', '-c', f'sleep 1; kill -9 {holder.pid}'])
    with FileLock(tmp_path / 'lock', wait=True):
        pass
    assert 0.5 < time.monotonic() - begin < 6


def test_lock_is_entered_again_within_its_process_and_leaves_no_file(tmp_path):
    with FileLock(tmp_path / 'lock'):
        with FileLock(tmp_path / 'lock'):
            pass
        assert (tmp_path / 'lock').exists()
    assert list(tmp_path.iterdir()) == []


def test_forked_child_does_not_give_the_lock_away(tmp_path):
    lock = FileLock(tmp_path / 'lock')
    lock.__enter__()
    child = os.fork()
    if child == 0:
        lock.__exit__()
        os._exit(0)
    os.waitpid(child, 0)
    assert (tmp_path / 'lock').exists()
    lock.__exit__()


def test_file_system_without_locks_is_warned_about(tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(37, 'No locks available')

    monkeypatch.setattr('fcntl.lockf', refuse)
    with pytest.warns(UserWarning, match='without locks'), FileLock(tmp_path / 'lock'):
        pass
    assert list(tmp_path.iterdir()) == []

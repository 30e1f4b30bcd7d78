"""Signals in processes that were forked while the training listened to them."""

import multiprocessing
import os
import signal
import time

import pytest

from mmdssl.engine.interruption import StopSignals


@pytest.fixture
def start():
    """Starts a sleeping process that has inherited the handlers."""
    signals = StopSignals(may_raise=lambda: False)
    signals.listen()
    started = []

    def run() -> multiprocessing.Process:
        process = multiprocessing.get_context('fork').Process(target=time.sleep, args=(60,))
        started.append(process)
        process.start()
        return process

    yield run
    signals.release()
    for process in started:
        process.kill()
        process.join()


def test_a_pool_can_end_its_workers_from_their_first_moment(start):
    for _ in range(10):
        process = start()
        process.terminate()
        process.join(20)
        assert process.exitcode == -signal.SIGTERM


def test_ctrl_c_is_left_to_the_main_process(start):
    process = start()
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGINT)
    process.join(0.5)
    assert process.is_alive()


def test_the_main_process_still_notes_a_signal_after_a_fork(start):
    start().terminate()
    listener = signal.getsignal(signal.SIGTERM).__self__
    os.kill(os.getpid(), signal.SIGTERM)
    assert listener.received == signal.SIGTERM
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, set())

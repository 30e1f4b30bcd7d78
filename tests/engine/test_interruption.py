"""Signals in processes that were forked while the training listened to them."""

import multiprocessing
import os
import signal
import time

import pytest
from submitit.core.job_environment import SignalHandler

from mmdssl.engine.interruption import StopSignals


@pytest.fixture(params=['run', 'job', 'study'])
def listening(request):
    """Who has SIGTERM: a run, or, before and after it, the job of a study or its command."""
    if request.param == 'run':
        signals = StopSignals(may_raise=lambda: False)
        signals.listen()
        yield
        signals.release()
        return
    handler = signal.default_int_handler
    if request.param == 'job':
        handler = SignalHandler(env=None, job_paths=None, delayed=None).bypass
    before = signal.signal(signal.SIGTERM, handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def start():
    """Starts a sleeping process that has inherited the handlers."""
    started = []

    def run() -> multiprocessing.Process:
        process = multiprocessing.get_context('fork').Process(target=time.sleep, args=(60,))
        started.append(process)
        process.start()
        return process

    yield run
    for process in started:
        process.kill()
        process.join()


def test_a_pool_can_end_its_workers_from_their_first_moment(listening, start):
    for _ in range(10):
        process = start()
        process.terminate()
        process.join(20)
        assert process.exitcode == -signal.SIGTERM


@pytest.mark.parametrize('listening', ['run'], indirect=True)
def test_ctrl_c_is_left_to_the_main_process(listening, start):
    process = start()
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGINT)
    process.join(0.5)
    assert process.is_alive()


@pytest.mark.parametrize('listening', ['run'], indirect=True)
def test_the_main_process_still_notes_a_signal_after_a_fork(listening, start):
    start().terminate()
    listener = signal.getsignal(signal.SIGTERM).__self__
    os.kill(os.getpid(), signal.SIGTERM)
    assert listener.received == signal.SIGTERM
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, set())

"""Signals in processes that were forked while the training listened to them."""

import multiprocessing
import os
import signal
import time
from multiprocessing.synchronize import Event

import pytest
from torch.utils.data import _utils

from mmdssl.engine.interruption import StopSignals


def sleep(ready: Event, *, loads_data: bool) -> None:
    if loads_data:
        _utils.worker._worker_info = _utils.worker.WorkerInfo(id=0, num_workers=1)
    ready.set()
    time.sleep(60)


@pytest.fixture
def start():
    """Starts a process that has inherited the handlers, and waits until it works."""
    context = multiprocessing.get_context('fork')
    signals = StopSignals(may_raise=lambda: False)
    signals.listen()
    started = []

    def run(**kwargs: bool) -> multiprocessing.Process:
        ready = context.Event()
        started.append(context.Process(target=sleep, args=(ready,), kwargs=kwargs))
        started[-1].start()
        assert ready.wait(30)
        return started[-1]

    yield run
    signals.release()
    for process in started:
        process.kill()
        process.join()


def test_a_pool_can_end_its_workers(start):
    process = start(loads_data=False)
    process.terminate()
    process.join(20)
    assert process.exitcode == -signal.SIGTERM


def test_ctrl_c_is_left_to_the_main_process(start):
    process = start(loads_data=False)
    os.kill(process.pid, signal.SIGINT)
    process.join(0.5)
    assert process.is_alive()


def test_loader_workers_go_on_while_the_main_process_stops(start):
    process = start(loads_data=True)
    for signum in (signal.SIGINT, signal.SIGTERM):
        os.kill(process.pid, signum)
    process.join(0.5)
    assert process.is_alive()

"""Side by side, tests do not take each other's cores."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.threads import VARIABLES, share_cores


@pytest.mark.parametrize(('cores', 'workers', 'share'), [(16, 8, 2), (7, 2, 3), (2, 8, 1)])
def test_workers_share_the_cores(monkeypatch, cores, workers, share):
    monkeypatch.setattr(os, 'environ', dict(PYTEST_XDIST_WORKER_COUNT=str(workers)))
    monkeypatch.setattr(os, 'sched_getaffinity', lambda process: set(range(cores)))
    share_cores()
    assert {os.environ[name] for name in VARIABLES} == {str(share)}


def test_a_setting_of_the_user_stays_and_one_process_has_all(monkeypatch):
    monkeypatch.setattr(os, 'environ', dict(PYTEST_XDIST_WORKER_COUNT='1', OMP_NUM_THREADS='5'))
    share_cores()
    assert os.environ['OMP_NUM_THREADS'] == '5'
    monkeypatch.setattr(os, 'environ', {})
    share_cores()
    assert os.environ == {}


def test_a_worker_has_its_share_before_torch_is_loaded():
    cores = len(os.sched_getaffinity(0))
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    code = 'import tests.conftest, torch; print(torch.get_num_threads())'
    told = subprocess.run(
        [sys.executable, '-c', code],
        cwd=ROOT,
        env={**kept, 'PYTEST_XDIST_WORKER_COUNT': str(cores)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert told.stdout == '1\n'

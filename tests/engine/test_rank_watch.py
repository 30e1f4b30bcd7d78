"""Who is named when a run of several processes stands still."""

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mmdssl.engine.hooks.rank_watchdog import EXIT_CODE, RankWatchdogHook
from mmdssl.engine.rank_watch import RankWatch, Report, describe, silent_ranks
from tests.conftest import ROOT
from tests.engine.toy import toy_config

LIMIT = 100.0
FRESH = {0: 1.0, 1: 1.0, 2: 1.0}


def reports(*states):
    """(iteration, seconds unchanged, waiting) of each rank."""
    return {rank: Report(9, *state, f'at a.py:{rank} in f') for rank, state in enumerate(states)}


@pytest.mark.parametrize(
    ('states', 'silent'),
    [
        # One computes for long, the others wait for it.
        ([(5, 3, False), (5, 500, True), (5, 500, True)], []),
        # One stands still outside of collectives.
        ([(5, 500, True), (5, 500, False), (5, 500, True)], [1]),
        # Two do (one waits for its GPU, which waits for the other): the one behind.
        ([(6, 500, False), (5, 500, False), (6, 500, True)], [1]),
        # All wait in collectives that do not belong together.
        ([(6, 500, True), (6, 500, True), (5, 500, True)], [2]),
        # Waiting has not been too long yet.
        ([(6, 50, True), (6, 500, True), (5, 500, True)], []),
    ],
)
def test_who_stands_still_while_the_others_wait_is_silent(states, silent):
    assert silent_ranks(reports(*states), FRESH, LIMIT) == silent


def test_a_report_says_for_how_long_the_main_thread_has_not_moved():
    watch = RankWatch(
        rank=0, world_size=1, store=None, limit=100.0, interval=1.0, alarm=lambda *_: None
    )

    def look() -> list[float]:
        """Twice, 0.3 s apart, from a thread on which the main one waits."""
        time.sleep(0.2)  # until it does
        first = watch._own_report(1)
        time.sleep(0.3)
        return [first.unchanged, watch._own_report(2).unchanged]

    with ThreadPoolExecutor(1) as threads:
        for _ in range(2):
            watch.iteration += 1
            moved, stood = threads.submit(look).result()
            assert moved < 0.2
            assert 0.3 <= stood < 5


def test_a_process_that_does_not_answer_is_named_before_any_other():
    states = reports((6, 500, False), (6, 3, True), (6, 3, True))
    assert silent_ranks(states, FRESH | {2: 101.0}, LIMIT) == [2]
    text = describe([2], states, FRESH | {2: 101.0}, LIMIT)
    assert 'rank 2: its process does not answer' in text
    assert 'iteration 6, at a.py:2 in f' in text
    assert '--resume' in text


@pytest.mark.parametrize('settings', [dict(limit=0), dict(limit=3.0), dict(interval=0)])
def test_limits_that_cannot_be_are_refused(settings):
    with pytest.raises(ValueError, match='0 < interval < limit'):
        RankWatchdogHook(**settings)


def test_looks_may_be_less_than_a_second_apart():
    hook = RankWatchdogHook(limit=1.0, interval=0.25)
    assert (hook.limit, hook.interval) == (1.0, 0.25)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('how', 'told'),
    [
        ('sleep', r'rank 1: its process lives and stands still in iteration 3, at silent\.py'),
        ('stop', r'rank 1: its process does not answer'),
    ],
)
def test_a_silent_rank_is_named_and_the_run_ends(tmp_path, how, told):
    config = toy_config(tmp_path / 'run')
    config.custom_imports = dict(imports=['tests.engine.toy', 'tests.engine.silent'])
    watch = dict(type='RankWatchdogHook', limit=4.0, interval=0.5)
    config.custom_hooks = [
        *config.custom_hooks, watch, dict(type='FallsSilent', at=2, how=how)
    ]  # fmt: skip
    config.dump(tmp_path / 'toy.py')
    result = subprocess.run(
        ['bash', ROOT / 'tools/dist_train.sh', tmp_path / 'toy.py', '2'],
        env={
            **os.environ,
            'PYTHONPATH': str(ROOT),
            'OMP_NUM_THREADS': '1',
            'PYTHON': sys.executable,
        },
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        timeout=240,
    )
    assert result.returncode != 0
    (line,) = [line for line in result.stderr.splitlines() if line.startswith('error: ')]
    assert re.search(told, line)
    assert f'exitcode  : {EXIT_CODE}' in result.stderr

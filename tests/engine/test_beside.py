"""A process beside this one is waited for, stopped with it, and its failure is told."""

import sys
import time

import pytest

from mmdssl.engine.beside import process_beside


def test_it_works_meanwhile_and_is_waited_for(tmp_path):
    code = "import os, time; time.sleep(0.3); print(os.environ['TOLD'])"
    with process_beside([sys.executable, '-c', code], tmp_path / 'a' / 'said.txt', TOLD='yes'):
        assert (tmp_path / 'a' / 'said.txt').read_text() == ''
    assert (tmp_path / 'a' / 'said.txt').read_text() == 'yes\n'


def test_its_failure_names_the_last_line_and_the_file(tmp_path):
    said = tmp_path / 'said.txt'
    with (
        pytest.raises(ValueError, match=r'no scenes here \(all of it: .*said\.txt\)'),
        process_beside([sys.executable, '-c', "raise SystemExit('no scenes here')"], said),
    ):
        pass


def test_it_does_not_outlive_a_failure_here(tmp_path):
    begin = time.monotonic()
    with (
        pytest.raises(KeyboardInterrupt),
        process_beside([sys.executable, '-c', 'import time; time.sleep(60)'], tmp_path / 's'),
    ):
        raise KeyboardInterrupt
    assert time.monotonic() - begin < 30

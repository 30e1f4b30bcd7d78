"""Fixtures that every test may use: where the shared reference data lie, and quiet threads."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get('MMDSSL_SHARED', ROOT.parent / 'shared'))


@pytest.fixture(scope='session')
def shared() -> Callable[[str], Path]:
    """Path of a file of the shared reference data; skips the test where it is not at hand."""

    def find(relative: str) -> Path:
        path = SHARED / relative
        if not path.exists():
            pytest.skip(f'reference data {relative} not found: set MMDSSL_SHARED to its folder')
        return path

    return find

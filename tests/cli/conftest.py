import re
from collections.abc import Callable

import pytest

from mmdssl.cli import analyze


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[[str, list[str]], None]:
    """Checks that ``mmdssl analyze`` ends with one sentence, and what it says."""

    def check(message: str, command: list[str]) -> None:
        capsys.readouterr()
        assert analyze.main(command) == 2
        (error,) = [line for line in capsys.readouterr().err.splitlines() if 'error: ' in line]
        assert re.search(message, error)

    return check

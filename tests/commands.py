"""Commands of tools/ inside the process of the tests: saves the seconds of an import."""

import runpy
from typing import Any

from tests.conftest import ROOT


def run_command(name: str, *arguments: object) -> Any:
    """What ``main`` of ``tools/<name>.py`` returns."""
    script = runpy.run_path(str(ROOT / f'tools/{name}.py'), run_name=name)
    return script['main']([str(argument) for argument in arguments])


def tool(name: str, *arguments: object) -> None:
    """The same for a command that has to succeed."""
    assert not run_command(name, *arguments)

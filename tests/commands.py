"""Commands inside the process of the tests: saves the seconds of an import."""

import importlib
from typing import Any


def run_command(name: str, *arguments: object) -> Any:
    """What ``main`` of the command returns."""
    command = importlib.import_module(f'mmdssl.cli.{name}')
    return command.main([str(argument) for argument in arguments])


def tool(name: str, *arguments: object) -> None:
    """The same for a command that has to succeed."""
    assert not run_command(name, *arguments)

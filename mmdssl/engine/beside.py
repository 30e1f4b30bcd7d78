"""A process that works while this one works, too, and never outlives it."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ['process_beside']


@contextmanager
def process_beside(command: Sequence[str], said: Path, **environment: str) -> Iterator[None]:
    """Run a command while the block runs, and wait for it at the end of the block.

    Where the block fails or is interrupted, the command is asked to stop and waited for.

    Args:
        command: Program and arguments.
        said: File for everything it prints; its folder is made.
        environment: Variables that it gets besides those of this process.

    Raises:
        ValueError: If the command failed; the last line that it printed is named.
    """
    said.parent.mkdir(parents=True, exist_ok=True)
    with said.open('w') as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environment}
        )
        try:
            yield
        except BaseException:
            process.terminate()
            process.wait()
            raise
        failed = process.wait()
    if failed:
        lines = said.read_text(encoding='utf-8', errors='replace').strip().splitlines()
        last = lines[-1].strip() if lines else 'it said nothing'
        raise ValueError(f'the run beside this one failed: {last} (all of it: {said})')

"""Work as jobs of submitit: processes of this machine or of a SLURM cluster, side by side.

A job is a callable and words of plain text, so that nothing else goes to another machine. What it
has done lies in files; who asks for the same again goes on from there.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import Progress

__all__ = ['ResumedJob', 'executor_parameters', 'last_words', 'run_jobs', 'submit']

_POLL = 0.5

K = TypeVar('K')
T = TypeVar('T')


class ResumedJob:
    """A job that goes on from its files when it is started again."""

    def __call__(self, *words: str) -> None:
        """The work."""
        raise NotImplementedError

    def checkpoint(self, *words: str) -> Any:
        """What SLURM starts in place of a job whose time is up: the same, which goes on."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, *words)


def executor_parameters(words: list[str]) -> dict[str, Any]:
    """``KEY=VALUE`` words of ``--set``; whole numbers as such.

    Raises:
        ValueError: If a word has no ``=``.
    """
    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition('=')
        if not equals:
            raise ValueError(f'--set {word}: give KEY=VALUE, e.g. slurm_partition=gpu')
        found[key] = int(value) if value.isdigit() else value
    return found


def submit(
    job: ResumedJob,
    *words: str,
    folder: Path,
    executor: str,
    defaults: Mapping[str, Any],
    parameters: Mapping[str, Any],
) -> Any:
    """Start a job, or hand it to SLURM.

    Args:
        job: What is to be done.
        words: What it is called with.
        folder: For what it says.
        executor: ``'local'``, ``'slurm'``, or ``'debug'``: in this process.
        defaults: Of the executor, as `submitit.AutoExecutor.update_parameters` takes them.
        parameters: What comes before these.

    Returns:
        The job of submitit.

    Raises:
        ModuleNotFoundError: submitit is not installed.
        ValueError: The executor is not there, or does not take a parameter.
    """
    try:
        import submitit
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            'jobs need submitit, which is not installed: pip install "mmdssl[pretrain]"',
            name='submitit',
        ) from None
    try:
        found = submitit.AutoExecutor(folder=folder, cluster=executor)
        limit = dict(timeout_min=60 * 24 * (30 if executor == 'local' else 1))
        found.update_parameters(**{**limit, 'stderr_to_stdout': True, **defaults, **parameters})
    except (NameError, RuntimeError, TypeError) as error:
        raise ValueError(f'--executor {executor}: {error}') from error
    with _deaf_to_ctrl_c():
        return found.submit(job, *words)


def run_jobs(
    waiting: MutableMapping[K, T],
    *,
    start: Callable[[T], Any],
    ended: Callable[[T, Any], None],
    limit: int,
    ready: Callable[[], list[K]] | None = None,
    named: Callable[[T], str] = str,
    title: str = 'runs',
    executor: str = 'local',
    progress: bool = True,
) -> None:
    """Start everything that waits, so many at a time, and see each to its end.

    Args:
        waiting: What is to be done, by key; it is empty at the end.
        start: Gives the job of one.
        ended: Told of each whose job has ended; it may take others off ``waiting``.
        limit: Most jobs at a time.
        ready: Keys of what may start now, in order; None: all.
        named: What to call one in the bar.
        title: Name of the bar.
        executor: Of the jobs: local ones are stopped when this is interrupted.
        progress: Show the bar.

    Raises:
        KeyboardInterrupt: On Ctrl-C, once the local jobs have stopped.
    """
    active: dict[K, tuple[T, Any]] = {}
    total = len(waiting)
    with Progress(console=Console(stderr=True), disable=not progress) as bar:
        task = bar.add_task(title, total=total)
        try:
            while waiting or active:
                free = ready() if ready else list(waiting)
                for key in free[: limit - len(active)]:
                    active[key] = waiting[key], start(waiting[key])
                    del waiting[key]
                for key, (one, job) in list(active.items()):
                    if job.done():
                        del active[key]
                        ended(one, job)
                names = ', '.join(named(one) for one, _ in active.values())
                left = len(waiting) + len(active)
                bar.update(task, completed=total - left, description=names or title)
                if active:
                    time.sleep(_POLL)
        except BaseException:
            if executor == 'local':
                _stop([job for _, job in active.values()])
            raise


def last_words(job: Any) -> str:
    """The end of what a job said."""
    lines = (job.stdout() or '').strip().splitlines()
    return '\n'.join(lines[-6:])


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes started here leave Ctrl-C to this one: submitit's would end theirs within a second.

    A job that listens takes it up again, as a run does when it trains, and leaves a checkpoint.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _stop(jobs: list[Any]) -> None:
    """Ask local jobs to end and wait for it."""
    for job in jobs:
        os.kill(int(job.job_id), signal.SIGTERM)
    while not all(job.done() for job in jobs):
        time.sleep(_POLL)

"""Runs side by side, each in a process of its own, resumable at every level.

A run is a folder: ``settings.json``, ``measurements.jsonl``, checkpoints, ``log.txt``, and, once
it is complete, ``done.json``. What is done is not done again; a run that was interrupted goes on
from its last checkpoint. A run that needs the network of another one waits for it.
"""

import contextlib
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from mmdssl.core.checkpointing import atomic_text
from mmdssl.miniature.instruments import MeasureHook, read_measurements
from mmdssl.miniature.plan import Plan, Run
from mmdssl.miniature.recipe import make_config

__all__ = ['Failure', 'execute', 'is_done', 'run_all']

_DONE = 'done.json'
_PRELOAD = ['torch', 'mmpretrain.models', 'mmpretrain.datasets', 'mmdssl.miniature.runs']
_POLL = 0.5


@dataclass(frozen=True)
class Failure:
    """A run that ended badly.

    Attributes:
        run: Which.
        code: Exit code; negative: number of the signal.
        words: The end of its log.
    """

    run: Run
    code: int
    words: str


@dataclass
class _Active:
    run: Run
    process: BaseProcess
    done: Any
    begin: float = field(default_factory=time.monotonic)

    @property
    def share(self) -> float:
        return self.done.value / self.run.iters


def is_done(run: Run) -> bool:
    """Whether a run is complete.

    Raises:
        ValueError: If its folder holds a run of other settings.
    """
    file = run.folder / 'settings.json'
    if file.exists():
        earlier, present = json.loads(file.read_text()), run.settings()
        earlier.get('arm', {}).pop(run.unread, None)  # older studies stored both configs
        if earlier != present:
            changed = [key for key in present if earlier.get(key) != present[key]]
            raise ValueError(
                f'{run.folder} holds a run of other settings (other {", ".join(changed)}): give '
                'another --out, or remove that folder'
            )
    return (run.folder / _DONE).exists()


def run_all(plan: Plan, *, jobs: int = 1, progress: bool = True) -> list[Failure]:
    """Make every run of a plan that is not done yet.

    Args:
        plan: The study; its data are there.
        jobs: Runs side by side.
        progress: Show a bar with the time left.

    Returns:
        Runs that failed; the others are done.

    Raises:
        KeyboardInterrupt: On Ctrl-C, once the active runs have left their checkpoints.
        ValueError: If a folder holds a run of other settings, or a teacher is neither done nor
            part of the plan.
    """
    waiting = [run for run in plan.runs() if not is_done(run)]
    for run in waiting:
        make_config(run)  # mistakes show before anything has run
        if run.teacher and run.teacher.name not in plan.arms and not is_done(run.teacher):
            raise ValueError(f'{run.name} needs the run of {run.teacher.name}: add that arm')
    # Plain data and a fresh interpreter state for each run, without importing torch each time.
    context = multiprocessing.get_context('forkserver' if os.name == 'posix' else 'spawn')
    if os.name == 'posix':
        context.set_forkserver_preload(_PRELOAD)
    os.environ['OMP_NUM_THREADS'] = str(plan.threads)
    # Threads that wait must not keep a core from the other run.
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    active: list[_Active] = []
    failures: list[Failure] = []
    with _bar(plan, len(waiting), progress) as show:
        try:
            while waiting or active:
                while len(active) < jobs and (ready := _ready(waiting)) is not None:
                    active.append(_start(context, waiting.pop(ready)))
                time.sleep(_POLL)
                for one in [a for a in active if not a.process.is_alive()]:
                    active.remove(one)
                    one.process.join()
                    if not is_done(one.run):
                        code = one.process.exitcode or 0
                        failures.append(Failure(one.run, code, _last_words(one.run)))
                        failures += _take_orphans(waiting, failures[-1])
                show(waiting, active)
        except BaseException:
            for one in active:
                one.process.terminate()  # asks for a checkpoint, as Ctrl-C does
            for one in active:
                one.process.join()
            raise
    return failures


def execute(run: Run, done: Any = None) -> None:
    """Train one arm with one seed in this process, measure it and mark it done.

    Args:
        run: Which.
        done: Shared integer that is told the iterations done.
    """
    import torch

    from mmdssl.engine.launch import build_runner, find_checkpoint, train
    from mmdssl.visualization.report import hardware, versions

    begin = time.perf_counter()
    torch.set_num_threads(run.plan.threads)
    run.folder.mkdir(parents=True, exist_ok=True)
    is_done(run)  # refuses other settings
    atomic_text(json.dumps(run.settings(), indent=1) + '\n', run.folder / 'settings.json')
    config = make_config(run)
    found = find_checkpoint(run.folder, 'auto')
    config.resume, config.load_from = found is not None, found and str(found)
    runner = build_runner(config)

    def tell(iterations: int) -> None:
        if done is not None:
            done.value = iterations

    measurements = run.folder / 'measurements.jsonl'
    runner.register_hook(MeasureHook(run.points, measurements, tell))
    train(runner)
    lines = read_measurements(measurements)
    earlier = _time_before(run) if config.resume else 0
    record = dict(
        settings=run.settings(),
        seconds=round(earlier + time.perf_counter() - begin, 1),
        seconds_measuring=round(sum(line['seconds'] for line in lines), 1),
        hardware=hardware(),
        versions=versions(),
    )
    atomic_text(json.dumps(record, indent=1) + '\n', run.folder / _DONE)


def _ready(waiting: list[Run]) -> int | None:
    """Index of the first run whose teacher, if it needs one, is done."""
    ready = (i for i, run in enumerate(waiting) if run.teacher is None or is_done(run.teacher))
    return next(ready, None)


def _take_orphans(waiting: list[Run], failure: Failure) -> list[Failure]:
    """Take the runs that need the network of a failed one off the list."""
    lost = failure.run
    orphans = [run for run in waiting if run.teacher and run.teacher.folder == lost.folder]
    waiting[:] = [run for run in waiting if run not in orphans]
    words = f'not started: it needs the network of {lost.name}, seed {lost.seed}, which failed'
    return [Failure(run, failure.code, words) for run in orphans]


def _start(context: Any, run: Run) -> _Active:
    done = context.Value('i', 0, lock=False)
    process = context.Process(target=_work, args=(run, done), name=f'{run.name}-{run.seed}')
    process.start()
    return _Active(run, process, done)


def _work(run: Run, done: Any) -> None:
    """A run in its process: everything it says goes to its log."""
    run.folder.mkdir(parents=True, exist_ok=True)
    begin = time.perf_counter()
    with (run.folder / 'log.txt').open('a') as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
        try:
            execute(run, done)
        except SystemExit as stop:
            os._exit(stop.code if isinstance(stop.code, int) else 1)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            _add_time(run, time.perf_counter() - begin)


def _add_time(run: Run, seconds: float) -> None:
    """Remember the time of an attempt, for the sum of an interrupted run."""
    record = dict(seconds=round(_time_before(run) + seconds, 1))
    atomic_text(json.dumps(record) + '\n', run.folder / 'time.json')


def _time_before(run: Run) -> float:
    file = run.folder / 'time.json'
    return json.loads(file.read_text())['seconds'] if file.exists() else 0.0


def _last_words(run: Run) -> str:
    file = run.folder / 'log.txt'
    lines = file.read_text(errors='replace').strip().splitlines() if file.exists() else []
    return '\n'.join(lines[-6:])


@contextlib.contextmanager
def _bar(plan: Plan, waiting: int, shown: bool) -> Iterator[Any]:
    """A bar over all runs with the time left; gives the function that moves it."""
    runs = plan.runs()
    total = sum(run.seconds for run in runs)
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn('{task.fields[left]}'),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not shown) as progress:
        task = progress.add_task('runs', total=len(runs), completed=len(runs) - waiting, left='')
        begin = time.monotonic()
        at_start: list[float] = []

        def show(waiting: list[Run], active: list[_Active]) -> None:
            """Bring the bar up to date."""
            left = sum(r.seconds for r in waiting)
            left += sum(a.run.seconds * (1 - a.share) for a in active)
            if not at_start:
                at_start.append(left)
            gone, worked = time.monotonic() - begin, at_start[0] - left
            # The estimates only weigh runs against each other once some work is done.
            pace = gone / worked if worked > 0.02 * total else None
            minutes = f'{left * pace / 60:.0f} min left' if pace else ''
            names = ', '.join(f'{a.run.name} {a.run.seed} {a.share:.0%}' for a in active)
            progress.update(
                task,
                completed=len(runs) - len(waiting) - len(active),
                description=names or 'runs',
                left=minutes,
            )

        yield show

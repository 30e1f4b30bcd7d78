"""Runs as jobs of submitit: processes of this machine or of a SLURM cluster, resumable.

A run is a folder: ``settings.json``, ``measurements.jsonl``, checkpoints, ``jobs/`` with what it
said, a file for each measure taken afterwards, and, once it is trained, ``done.json``. What is done
is not done again; an interrupted run goes on from its last checkpoint. A run that needs the network
of another one waits for it.
"""

import dataclasses
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdssl.core.checkpointing import atomic_text
from mmdssl.core.jobs import ResumedJob, last_words, run_jobs, submit
from mmdssl.studies.afterwards import measure_afterwards, missing_measures
from mmdssl.studies.measuring import MeasureHook, read_measurements
from mmdssl.studies.recipe import make_config
from mmdssl.studies.run import Plan, Run
from mmdssl.studies.statistics import compute

__all__ = ['Failure', 'Job', 'execute', 'is_done', 'is_trained', 'run_all']

_MEASURED = 'measurements.jsonl'
_GPUS_A_NODE = 8


@dataclass(frozen=True)
class Failure:
    """A run that ended badly.

    Attributes:
        run: Which.
        words: The end of what it said.
    """

    run: Run
    words: str


def is_trained(run: Run) -> bool:
    """Whether a run has its network."""
    return (run.folder / 'done.json').exists()


def is_done(run: Run) -> bool:
    """Whether a run is trained and measured."""
    return is_trained(run) and not missing_measures(run)


def run_all(
    plan: Plan,
    *,
    executor: str = 'local',
    jobs: int | None = None,
    parameters: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> list[Failure]:
    """Make every run of a plan that is not done yet.

    Args:
        plan: Its data are there.
        executor: ``'local'``, ``'slurm'``, or ``'debug'``: in this process.
        jobs: Runs side by side; None: all at once on SLURM, otherwise one.
        parameters: Of the executor, as :meth:`submitit.AutoExecutor.update_parameters` takes them.
        progress: Show a bar.

    Returns:
        Runs that failed; the others are done.

    Raises:
        KeyboardInterrupt: On Ctrl-C, once the local runs have left their checkpoints.
        ValueError: If a config cannot be made, or the executor has no such places for a run.
    """
    waiting = {run.folder: run for run in plan.runs if not is_done(run)}  # equal ones once
    for run in waiting.values():
        if not run.row.statistic:
            make_config(run)  # mistakes show before anything has run
        _places(run, executor, parameters or {})
    jobs = jobs or (len(waiting) if executor == 'slurm' else 1)
    failures: list[Failure] = []

    def ended(run: Run, job: Any) -> None:
        if not is_done(run):
            failures.append(Failure(run, last_words(job)))
            failures.extend(_take_orphans(waiting, run))

    run_jobs(
        waiting,
        start=lambda run: _submit(run, executor, parameters or {}),
        ended=ended,
        limit=jobs,
        ready=lambda: [run.folder for run in _ready(waiting)],
        named=lambda run: f'{run.name} {run.seed}',
        executor=executor,
        progress=progress,
    )
    return failures


class Job(ResumedJob):
    """A run from plain text, so that nothing else goes to another machine."""

    def __call__(self, *words: str) -> None:
        """Make the run of a row with a seed, after the json of the fields of its plan."""
        plan, name, seed = words
        fields = json.loads(plan)
        data = fields['data'] and Path(fields['data'])
        measured = fields['measured'] and tuple(fields['measured'])
        one = dict(out=Path(fields['out']), data=data, names=(name,), seeds=(int(seed),))
        found = Plan(**{**fields, **one, 'measured': measured})
        execute(Run(plan=found, name=name, seed=int(seed)))


def execute(run: Run) -> None:
    """Train a row with a seed in this process, measure it and mark it done."""
    run.folder.mkdir(parents=True, exist_ok=True)
    if run.processes > 1:  # for what is measured afterwards, too
        from submitit.helpers import TorchDistributedEnvironment

        TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
    if not is_trained(run):
        begin = time.perf_counter()
        atomic_text(json.dumps(run.settings, indent=1) + '\n', run.folder / 'settings.json')
        (_compute if run.row.statistic else _train)(run)
        _mark_done(run, begin)
    measure_afterwards(run)


def _compute(run: Run) -> None:
    """What a row without a network has instead of a training: one line of numbers."""
    begin = time.perf_counter()
    numbers = compute(run.row.statistic, repeats=run.length[1], seed=run.seed)
    seconds = round(time.perf_counter() - begin, 2)
    line = dict(iter=run.length[1], share=1.0, seconds=seconds, **numbers)
    atomic_text(json.dumps(line) + '\n', run.folder / _MEASURED)


def _train(run: Run) -> None:
    from mmdssl.engine.launch import build_runner, find_checkpoint, prepare_config, train

    config = make_config(run)
    config.experiment_name = f'{run.folder.parent.name}-{run.seed}-{time.time_ns()}'
    config.work_dir = str(run.folder)
    if run.processes > 1:
        prepare_config(config, launcher='pytorch')
    found = find_checkpoint(run.folder, 'auto')
    config.resume, config.load_from = found is not None, found and str(found)
    runner = build_runner(config)
    runner.register_hook(MeasureHook(run.shares, run.folder / _MEASURED))
    train(runner)


def _mark_done(run: Run, begin: float) -> None:
    """Leave the record by which a run counts as trained."""
    from mmengine.dist import is_main_process

    from mmdssl.visualization.report import hardware, versions

    lines = read_measurements(run.folder / _MEASURED)
    record = dict(
        row=run.name,
        seconds_of_last_start=round(time.perf_counter() - begin, 1),
        seconds_measuring=round(sum(line['seconds'] for line in lines), 1),
        hardware=hardware(),
        versions=versions(),
    )
    if is_main_process():
        atomic_text(json.dumps(record, indent=1) + '\n', run.folder / 'done.json')


def _places(run: Run, executor: str, parameters: Mapping[str, Any]) -> dict[str, int]:
    """Nodes of a run, and processes on each: what is asked for, else full nodes of eight.

    Raises:
        ValueError: If that is not the run's number of processes, or several machines are asked for
            where there is one.
    """
    usual = -(-run.processes // _GPUS_A_NODE) if executor == 'slurm' else 1
    nodes = int(parameters.get('nodes', usual))
    if nodes > 1 and executor != 'slurm':
        raise ValueError(
            f'--set nodes={nodes}: --executor {executor} has this machine alone; runs on several '
            'are jobs of SLURM, --executor slurm, whose nodes share the folder --out'
        )
    tasks = int(parameters.get('tasks_per_node', run.processes // max(nodes, 1)))
    if nodes * tasks != run.processes:
        raise ValueError(
            f'--set nodes={nodes}, {tasks} processes on each: {run.name} has {run.processes}, '
            'which share the images of a step; choose nodes and tasks_per_node, or --processes, '
            'to fit'
        )
    return dict(nodes=nodes, tasks_per_node=tasks)


def _submit(run: Run, executor: str, parameters: Mapping[str, Any]) -> Any:
    """Start the job of a run, or hand it to SLURM."""
    import torch

    gpus = run.processes if executor == 'slurm' or torch.cuda.is_available() else 0
    places = _places(run, executor, parameters)
    defaults: dict[str, Any] = dict(
        name=f'{run.plan.study.name}-{run.name}-{run.seed}',
        **places,
        gpus_per_node=gpus // places['nodes'],
    )
    visible = os.environ.get('CUDA_VISIBLE_DEVICES', '')
    if executor == 'local' and gpus and all(part.isdigit() for part in visible.split(',')):
        defaults['local_visible_gpus'] = [int(part) for part in visible.split(',')]
    plan = json.dumps(dataclasses.asdict(run.plan), default=str)
    return submit(
        Job(),
        plan,
        run.name,
        str(run.seed),
        folder=run.folder / 'jobs',
        executor=executor,
        defaults=defaults,
        parameters=parameters,
    )


def _ready(waiting: Mapping[Path, Run]) -> list[Run]:
    """Runs whose teacher, if they need one, has its network."""
    return [r for r in waiting.values() if r.teacher is None or is_trained(r.teacher)]


def _take_orphans(waiting: dict[Path, Run], lost: Run) -> list[Failure]:
    """Take the runs that need the network of a failed one off the list."""
    found = [r for r in waiting.values() if r.teacher and r.teacher.folder == lost.folder]
    for run in found:
        del waiting[run.folder]
    words = f'not started: it needs the network of {lost.name}, seed {lost.seed}, which failed'
    return [Failure(run, words) for run in found]

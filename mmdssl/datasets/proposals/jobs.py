"""Proposals by jobs: a part of the images each, on this machine or on the nodes of a cluster.

Each job is a call of `make_proposals` for every n-th image, with its own journal: ended, by a limit
of time or a fault, it goes on where it stopped when the same command asks again.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmdssl.core.jobs import ResumedJob, last_words, run_jobs, submit
from mmdssl.datasets.proposals.making import make_proposals
from mmdssl.datasets.proposals.parts import parts_folder
from mmdssl.datasets.proposals.producers import ProposalSettings

__all__ = ['Failure', 'PartJob', 'make_by_jobs']


class Failure(NamedTuple):
    """A part that was not finished, and the end of what its job said."""

    part: int
    words: str


class PartJob(ResumedJob):
    """The search of one part, from the json of its arguments."""

    def __call__(self, *words: str) -> None:
        """Search what is left of the part."""
        asked = json.loads(words[0])
        settings = ProposalSettings.of(asked.pop('settings'))
        asked['shard'] = tuple(asked['shard'])
        make_proposals(settings=settings, progress=False, **asked)


def make_by_jobs(
    images: str | Path,
    out: str | Path,
    settings: ProposalSettings,
    *,
    parts: int,
    separate: bool = False,
    executor: str = 'local',
    jobs: int | None = None,
    workers: int = 1,
    parameters: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> list[Failure]:
    """Search the parts of a folder by jobs.

    Args:
        images: The folder, or one of shards; every job reads it.
        out: The proposals file, or with ``separate`` the folder of one file a part.
        settings: How proposals are made.
        parts: How many.
        separate: A file for each part; else `merge_proposals` makes one of them.
        executor: ``'local'``, ``'slurm'``, or ``'debug'``: in this process.
        jobs: Side by side; None: all at once on SLURM, otherwise one.
        workers: Processes of a job.
        parameters: Of the executor, as submitit names them.
        progress: Show a bar.

    Returns:
        Parts that are not finished.

    Raises:
        KeyboardInterrupt: On Ctrl-C, once the local jobs have ended; the same call goes on.
    """
    if parts < 1:
        raise ValueError(f'{parts} parts: give at least 1')
    failures: list[Failure] = []
    logs = Path(out) / 'jobs' if separate else parts_folder(out) / 'jobs'

    def start(part: int) -> Any:
        asked = dict(
            images=os.path.abspath(images) if '://' not in str(images) else str(images),
            out=os.path.abspath(out),
            settings=settings.parameters(),
            workers=workers,
            shard=(part, parts),
            separate=separate,
        )
        return submit(
            PartJob(),
            json.dumps(asked),
            folder=logs,
            executor=executor,
            defaults=dict(name=f'proposals-{part}-of-{parts}', cpus_per_task=max(workers, 1)),
            parameters=parameters or {},
        )

    def ended(part: int, job: Any) -> None:
        if job.exception() is not None:
            failures.append(Failure(part, last_words(job)))

    run_jobs(
        {part: part for part in range(parts)},
        start=start,
        ended=ended,
        limit=jobs or (parts if executor == 'slurm' else 1),
        named=lambda part: f'part {part}',
        title='parts',
        executor=executor,
        progress=progress,
    )
    return sorted(failures)

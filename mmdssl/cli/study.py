"""A study: rows of a table trained with paired seeds, measured, and set beside what was published.

    mmdssl study mind_your_augmentation/table_10 --scale scenes --seeds 0 1 2 --jobs 2
    mmdssl study FILE --scale photos --data-root PHOTOS --out work_dirs/studies     # cores
    mmdssl study FILE --scale paper --executor slurm --set slurm_partition=gpu timeout_min=2880
    mmdssl study FILE --dry-run          # what would run
    mmdssl study all --scale smoke --seeds 0     # every one that comes with the package

FILE defines `study = Study(...)`; those that come with the package are found by their names in
studies/. Interrupted, the same command resumes; more seeds or rows may be added to a finished
study, and studies with one --out share the runs that they have in common. Results: tables on the
terminal, and in OUT/FILE-SCALE measurements.csv (every number), tables.csv, published.csv,
study.json, tradeoff.png, and the curve of a study that is one.
"""

import argparse
import os
import shlex
import signal
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from mmdssl.cli.arguments import failed
from mmdssl.engine.command_line import CommandLine

if TYPE_CHECKING:  # imported where it is needed: --help need not wait for torch
    from mmdssl.studies.run import Plan


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('file', help='of the study; all: every shipped one that has the scale')
    parser.add_argument(
        '--scale',
        default='scenes',
        help='paper, photos-gpu, photos, scenes (default), smoke, or its own',
    )
    parser.add_argument('--seeds', type=int, nargs='+', default=(0, 1, 2), help='default: 0 1 2')
    parser.add_argument(
        '--rows', nargs='+', metavar='ROW', help='which to run; ibot:all for a base and its rows'
    )
    parser.add_argument('--out', type=Path, default=Path('work_dirs/studies'))
    parser.add_argument(
        '--data-root',
        type=Path,
        metavar='FOLDER',
        help="of the photos (the configs' own), or for generated scenes (--out/scenes)",
    )
    parser.add_argument(
        '--measures',
        nargs='*',
        metavar='MEASURE',
        help='besides O-KNN and coupling: position layers data transfer cost '
        '(default: those of the study)',
    )
    parser.add_argument('--executor', choices=('local', 'slurm', 'debug'), default='local')
    parser.add_argument('--jobs', type=int, help='runs side by side (local: 1, slurm: all)')
    parser.add_argument('--threads', type=int, default=1, help='of a run (1)')
    parser.add_argument(
        '--set',
        nargs='+',
        default=(),
        metavar='KEY=VALUE',
        help='parameters of the executor, as submitit names them',
    )
    parser.add_argument(
        '--processes',
        type=int,
        help="of a run, which share its batch (paper: the config's, else 1)",
    )
    parser.add_argument('--iters', type=int, help='iterations of every schedule, for a quick look')
    parser.add_argument('--dry-run', action='store_true', help='say what would run, and stop')
    options = parser.parse_args(arguments)
    for name in ('jobs', 'threads', 'iters', 'processes'):
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error(f'--{name} {value} must be at least 1')
    if min(options.seeds) < 0 or len(set(options.seeds)) < len(options.seeds):
        parser.error('--seeds must be different numbers from 0 on')
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the study; 0, 1 where runs failed, 2 for wrong input, 130 where interrupted."""
    options = parse_arguments(arguments)
    warnings.filterwarnings('ignore', message='.*MultiScaleDeformableAttention.*')
    # Runs inherit both. Threads that wait must not keep a core from the other runs.
    os.environ['OMP_NUM_THREADS'] = str(options.threads)
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    # Asked to end, it ends its runs as well, which leave their checkpoints.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        words = sys.argv[1:] if arguments is None else arguments
        if options.file != 'all':
            return _one(options.file, options, words)
        return max(_one(file, options, words) for file in _with_scale(options.scale))
    except KeyboardInterrupt:
        print('interrupted: the same command resumes where it stopped', file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)


def _one(file: str, options: argparse.Namespace, words: list[str]) -> int:
    """Run or describe a study; what :func:`main` returns."""
    from mmdssl.studies.run import Plan

    try:
        plan = Plan(
            file=file,
            scale=options.scale,
            out=options.out,
            seeds=tuple(options.seeds),
            names=tuple(options.rows or ()),
            data=options.data_root,
            iters=options.iters,
            processes=options.processes,
            measured=None if options.measures is None else tuple(options.measures),
        )
        if options.dry_run:
            describe(plan)
            return 0
        return study(plan, options, words)
    except (ValueError, OSError) as error:
        return failed(error)


def _with_scale(scale: str) -> list[str]:
    """The shipped studies that have rows at a scale; without one, all, each of which says so."""
    from mmdssl.core.shipped import shipped
    from mmdssl.studies.study import load_study

    files = sorted(str(file) for file in shipped('studies').rglob('*.py'))
    found = [f for f in files if any(scale in row.settings for row in load_study(f).rows)]
    return files if scale == 'smoke' or not found else found


def describe(plan: 'Plan') -> None:
    """Print rows, lengths and how many of their seeds are done."""
    from mmdssl.studies.launch import is_done

    print(f'{plan.study.title}\nscale {plan.scale}: {plan.size.purpose}')
    width = max(map(len, plan.rows))
    for name in plan.rows:
        own = [run for run in plan.runs if run.name == name]
        kind, count = own[0].length
        done = sum(map(is_done, own))
        print(f'  {name:{width}}  {count} {kind}s, {done} of {len(own)} seeds done')
    for row in plan.study.rows:
        if plan.setting not in row.settings:
            print(f'  {row.name:{width}}  has no setting at this scale')


def study(plan: 'Plan', options: argparse.Namespace, words: list[str]) -> int:
    """Data, runs, tables and figures."""
    from rich.console import Console

    from mmdssl.core.jobs import executor_parameters
    from mmdssl.studies.data import make_data
    from mmdssl.studies.launch import run_all
    from mmdssl.studies.picture import draw_study
    from mmdssl.studies.results import read_points
    from mmdssl.studies.tables import build_cells, published_tables, rich_tables, write_tables
    from mmdssl.visualization.report import hardware, versions, without_paths

    console = Console(highlight=False)
    if not console.is_terminal:  # into a file: as wide as the tables need
        console = Console(highlight=False, width=190)
    parameters = executor_parameters(options.set)
    if 'transfer' in plan.measures:
        _check_transfer(plan)
    make_data(plan, workers=os.cpu_count() or 1)
    failures = run_all(plan, executor=options.executor, jobs=options.jobs, parameters=parameters)
    points = read_points(plan)
    if points:
        cells = build_cells(plan.study, points)
        for table in [*rich_tables(cells), *published_tables(plan.study, cells)]:
            console.print(table)
        facts = dict(
            command=without_paths('mmdssl study ' + shlex.join(words)),
            hardware=hardware(),
            versions=versions(),
        )
        folder = plan.out / f'{plan.study.name}-{plan.scale}'
        folder.mkdir(parents=True, exist_ok=True)
        files = write_tables(plan, folder, points, facts) + draw_study(plan, folder, points)
        print(f'wrote {", ".join(file.name for file in files)} in {folder}')
    for failure in failures:
        run = failure.run
        print(
            f'failed: {run.name}, seed {run.seed}; the end of what it said in {run.folder}/jobs:\n'
            f'{failure.words}',
            file=sys.stderr,
        )
    return 1 if failures else 0


def _check_transfer(plan: 'Plan') -> None:
    """Raises ValueError where fine-tuning cannot work, before hours of pre-training."""
    from mmdssl.engine.config import load_config
    from mmdssl.engine.plain_errors import says_what_happened
    from mmdssl.studies.recipe import share_batch
    from mmdssl.studies.study import shipped

    judges = {(file, run.processes) for run in plan.runs for file in run.setting.judges}
    for file, processes in judges:
        try:
            share_batch(load_config(shipped('configs') / file), file, processes)
        except ImportError as error:
            raise ValueError(
                f'{says_what_happened(error)} Or leave fine-tuning out: --measures cost'
            ) from error


if __name__ == '__main__':
    raise SystemExit(main())

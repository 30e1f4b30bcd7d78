"""The claim in miniature: every host with and without the branch, its controls, several seeds.

    python tools/miniature.py --out work_dirs/miniature --jobs 2
    python tools/miniature.py --regime shapes --arms ibot:all --out work_dirs/miniature-shapes
    python tools/miniature.py --data FOLDER --out work_dirs/miniature-photos   # iBOT, iBOT-D
    python tools/miniature.py --scale gpu --out work_dirs/miniature-gpu        # one GPU, hours
    python tools/miniature.py --plan          # what would run, and how long it takes

Seeds are paired: same weights at the start, same images, crops, flips and colours; the branch and
the masks draw from generators of their own. Every seed has scenes of its own. Interrupted, the
same command goes on; more seeds or arms may be added to a finished study. Results: tables on the
terminal, measurements.csv (every number), tables.csv, miniature.json, tradeoff.png. Arms, regimes
and all their settings: mmdssl/miniature/arms.py and regimes.py.
"""

import argparse
import dataclasses
import os
import shlex
import signal
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdssl.engine.command_line import CommandLine
from mmdssl.engine.plain_errors import says_what_happened

if TYPE_CHECKING:  # imported where it is needed: --help need not wait for torch
    from mmdssl.miniature.plan import Plan

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (11, 12, 13)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--regime',
        choices=('trial', 'shapes', 'forms'),
        default='trial',
        help='data and task (trial)',
    )
    parser.add_argument('--scale', choices=('cpu', 'gpu'), default='cpu', help='size (cpu)')
    parser.add_argument(
        '--arms', nargs='+', metavar='ARM', help='which to run; ibot:all for a whole family'
    )
    parser.add_argument('--seeds', type=int, nargs='+', default=SEEDS, help='default: 11 12 13')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/miniature'))
    parser.add_argument(
        '--scenes', type=Path, help='folder for the generated scenes (--out/scenes)'
    )
    parser.add_argument(
        '--data', type=Path, metavar='FOLDER', help='photos in the layout of COCO, not scenes'
    )
    parser.add_argument('--jobs', type=int, help='runs side by side (cpu: 2, gpu: 1)')
    parser.add_argument('--threads', type=int, help='threads of a run (cpu: 1, gpu: 8)')
    parser.add_argument('--plan', action='store_true', help='say what would run, and stop')
    smaller = parser.add_argument_group('changes of the regime, e.g. for a quick look')
    smaller.add_argument('--iters', type=int, help='iterations of the base')
    smaller.add_argument('--train-images', type=int)
    smaller.add_argument('--val-images', type=int)
    smaller.add_argument('--bank-images', type=int, help='images in the bank of O-KNN')
    smaller.add_argument('--probes', type=int, help='samples of each coupling probe')
    options = parser.parse_args(arguments)
    for name in ('jobs', 'threads', 'iters', 'train_images', 'val_images', 'bank_images', 'probes'):
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error(f'--{name.replace("_", "-")} {value} must be at least 1')
    if min(options.seeds) < 0 or len(set(options.seeds)) < len(options.seeds):
        parser.error('--seeds must be different numbers from 0 on')
    return options


def make_plan(options: argparse.Namespace) -> 'Plan':
    """The study that the command line asks for.

    Raises:
        ValueError: If there is no such arm, or no such regime at this scale.
    """
    from mmdssl.miniature.arms import DEFAULT_ARMS, PHOTO_ARMS, choose_arms
    from mmdssl.miniature.plan import Plan
    from mmdssl.miniature.regimes import choose_regime

    name = 'photos' if options.data else options.regime
    regime = choose_regime(name, options.scale)
    names = ('train_images', 'val_images', 'bank_images')
    changes: dict[str, Any] = {
        n: getattr(options, n) for n in names if getattr(options, n) is not None
    }
    if options.probes is not None:
        changes['probes'] = dict.fromkeys(regime.probes, options.probes)
    if options.iters is not None:
        changes['training'] = {
            family: dataclasses.replace(
                training,
                iters=options.iters,
                warmup=training.warmup * options.iters // training.iters,
                seconds=training.seconds * options.iters / training.iters,
            )
            for family, training in regime.training.items()
        }
    default = PHOTO_ARMS if options.data else DEFAULT_ARMS
    plan = Plan(
        name=name,
        scale=options.scale,
        regime=dataclasses.replace(regime, **changes),
        arms=choose_arms(options.arms or default),
        seeds=tuple(options.seeds),
        configs=ROOT / 'configs',
        out=options.out,
        data=options.data or options.scenes or options.out / 'scenes',
        threads=options.threads or (1 if options.scale == 'cpu' else 8),
    )
    for run in plan.runs():
        _ = run.training  # every arm has settings
    return plan


def main(arguments: list[str] | None = None) -> int:
    """Run the study; 0, 1 where runs failed, 2 for wrong input, 130 where interrupted."""
    options = parse_arguments(arguments)
    warnings.filterwarnings('ignore', message='.*MultiScaleDeformableAttention.*')
    jobs = options.jobs or (2 if options.scale == 'cpu' else 1)
    try:
        plan = make_plan(options)
        if options.plan:
            describe(plan, jobs)
            return 0
        return study(plan, jobs, arguments)
    except (ValueError, OSError) as error:
        print(f'error: {says_what_happened(error)}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('interrupted: the same command goes on where it stopped', file=sys.stderr)
        return 130


def describe(plan: 'Plan', jobs: int) -> None:
    """Print runs, iterations and estimated minutes."""
    from mmdssl.miniature.runs import is_done

    runs = plan.runs()
    print(f'{plan.name}, scale {plan.scale}: {plan.regime.purpose}')
    for name in plan.arms:
        run = next(run for run in runs if run.name == name)
        print(f'{name:22}{run.iters:7d} iterations, about {run.seconds / 60:.1f} min a run')
    left = [run for run in runs if not is_done(run)]
    minutes = sum(run.seconds for run in left) / 60 / jobs
    done = f', {len(runs) - len(left)} of them done' if len(left) < len(runs) else ''
    print(f'{len(runs)} runs{done}; {jobs} side by side: about {minutes:.0f} min, and the data')


def study(plan: 'Plan', jobs: int, arguments: list[str] | None) -> int:
    """Data, runs, tables and figure."""
    from rich.console import Console

    from mmdssl.miniature.data import make_data
    from mmdssl.miniature.picture import draw_study
    from mmdssl.miniature.results import read_points
    from mmdssl.miniature.runs import run_all
    from mmdssl.miniature.tables import build_cells, paper_tables, rich_tables, write_tables
    from mmdssl.visualization.report import hardware, versions, without_paths

    console = Console(highlight=False)
    if not console.is_terminal:  # into a file: as wide as the tables need
        console = Console(highlight=False, width=190)
    make_data(plan, workers=os.cpu_count() or 1)
    failures = run_all(plan, jobs=jobs)
    points = read_points(plan)
    if points:
        cells = build_cells(points)
        for table in [*rich_tables(cells), *paper_tables(cells)]:
            console.print(table)
        words = sys.argv[1:] if arguments is None else arguments
        facts = dict(
            command=without_paths('python tools/miniature.py ' + shlex.join(words)),
            hardware=hardware(),
            versions=versions(),
            jobs=jobs,
            threads=plan.threads,
        )
        files = write_tables(plan, points, cells, facts)
        files += [path.name for path in draw_study(plan, points)]
        console.print(f'wrote {", ".join(files)} in {plan.out}')
    for failure in failures:
        run = failure.run
        print(
            f'failed: {run.name}, seed {run.seed} (exit code {failure.code}); the end of '
            f'{run.folder}/log.txt:\n{failure.words}',
            file=sys.stderr,
        )
    return 1 if failures else 0


if __name__ == '__main__':
    # Asked to end, it ends its runs as well, which leave their checkpoints.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())

"""Prove a GPU in ten minutes: tests, step speeds, loading, and two short runs with O-KNN curves.

Longer curves: ``--stages runs --seconds 600``.

    make gpu                                  # or, on a bare machine with torch:
    python tools/benchmark_gpu.py             # in a checkout: finds the package by itself
    mmdssl benchmark gpu --data-root FOLDER
    mmdssl benchmark gpu --device cpu --smoke     # the same path in two minutes

Needs torch and the few pure-Python packages of pre-training, no network and no compiled ops. FOLDER
is one with ``unlabelled`` (any photos) and ``voc`` (annotations/instances_{train,val}2012.json
beside train2012, val2012); without one, scenes are generated in that layout. Everything goes into
one CSV and one JSON named by the hardware, row by row: a run that is cut off leaves what it had.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import MMLogger

from mmdssl.cli.benchmark import hardware_name, line, merge_csv, results_folder, results_name
from mmdssl.cli.benchmarks.gpu import ceilings, colours, loading, runs, steps
from mmdssl.core.shipped import find_config
from mmdssl.engine.command_line import CommandLine

ROOT = Path(__file__).resolve().parents[2]
RUNS = (
    'ibot_vit-small-p16-128px_1xb256-3000i_photos.py',
    'ibot-d_vit-small-p16-128px_1xb256-3000i_photos.py',
)
STAGES = ('ceilings', 'tests', 'steps', 'colours', 'loading', 'runs')


class Table:
    """Rows so far, written after each one."""

    def __init__(self, csv: Path, facts: dict[str, Any]) -> None:
        self.csv, self.facts = csv, facts
        self.rows: list[dict[str, str]] = []

    def add(self, stage: str, row: dict[str, Any]) -> None:
        """Print a row and write all."""
        new = line(f'gpu {stage}', row)
        self.rows.append(new)
        verdict = f'  target {new["target"]}: {new["reached"]}' if new['target'] else ''
        note = f'  ({new["reference"]})' if new['reference'] else ''
        print(f'  {new["name"]:<66} {new["value"]:>9} {new["unit"]}{verdict}{note}', flush=True)
        merge_csv(self.csv, self.rows)
        text = json.dumps(dict(self.facts, rows=self.rows), indent=1)
        self.csv.with_suffix('.json').write_text(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stages; 1 if one of them failed."""
    args = parse(argv)
    MMLogger.get_current_instance().setLevel('ERROR')  # init_weights names every parameter
    started = time.perf_counter()
    device = args.device
    kind = 'smoke' if args.smoke else 'gpu'
    folder = args.work_dir if args.smoke else results_folder()  # a rehearsal's numbers mean nothing
    csv = args.out or folder / f'{kind}_{results_name()}.csv'
    csv.parent.mkdir(parents=True, exist_ok=True)
    facts = dict(
        hardware=hardware_name(),
        torch=torch.__version__,
        python=sys.version.split()[0],
        cores=len(os.sched_getaffinity(0)),
        device=torch.cuda.get_device_name() if device == 'cuda' else 'cpu',
    )
    print(json.dumps(facts), flush=True)
    work = args.work_dir
    table, failed, peak = Table(csv, facts), [], 1.0
    photos = args.data_root or scenes_as_photos(work / 'scenes', smoke=args.smoke)
    workers = min(16, len(os.sched_getaffinity(0)))
    if device == 'cpu':
        torch.set_num_threads(1)  # the networks of a smoke run are too narrow for more
    else:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True

    def measure_peak() -> Iterable[dict[str, Any]]:
        nonlocal peak
        for index, row in enumerate(ceilings.rows(device, smoke=args.smoke)):
            if index == 0:
                peak = row['value']
            yield row

    def train() -> Iterable[dict[str, Any]]:
        for file in args.configs or RUNS:
            config = find_config(file)
            yield from runs.rows(
                config,
                photos=photos,
                out=work / config.stem,
                seconds=args.seconds,
                device=device,
                smoke=args.smoke,
                workers=0 if args.smoke else workers,
            )

    stages: dict[str, Callable[[], Iterable[dict[str, Any]]]] = dict(
        ceilings=measure_peak,
        tests=tests,
        steps=lambda: steps.rows(
            device, smoke=args.smoke, peak=peak, only=args.only, eager=args.eager
        ),
        colours=lambda: colours.rows(device, smoke=args.smoke),
        loading=lambda: loading.rows(
            photos / 'unlabelled',
            workers=2 if args.smoke else workers,
            seconds=2 if args.smoke else 10,
            batch=8 if args.smoke else 256,
        ),
        runs=train,
    )
    for stage in STAGES:
        if stage not in args.stages:
            continue
        begin = time.perf_counter()
        print(f'{stage} (at {begin - started:.0f} s) ...', flush=True)
        try:
            for row in stages[stage]():
                table.add(stage, row)
                if row['unit'] == 'failed':
                    failed.append(row['name'])
        except Exception:  # what the other stages show is worth having
            traceback.print_exc()
            failed.append(stage)
    print(f'wrote {csv} after {time.perf_counter() - started:.0f} s', flush=True)
    if failed:
        print(f'failed: {", ".join(failed)}')
    return 1 if failed else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--device', choices=('cuda', 'cpu'), default='cuda' if torch.cuda.is_available() else 'cpu'
    )
    parser.add_argument('--smoke', action='store_true', help='smallest sizes: does it run?')
    parser.add_argument('--data-root', type=Path, help='folder with unlabelled and voc')
    parser.add_argument('--stages', nargs='+', choices=STAGES, default=STAGES, help='default: all')
    parser.add_argument('--only', nargs='+', default=(), metavar='TEXT', help='steps so named')
    parser.add_argument('--eager', action='store_true', help='compile nothing in the steps')
    parser.add_argument('--seconds', type=float, default=90, help='of each run (%(default)s)')
    parser.add_argument('--configs', nargs='+', help='of the runs (default: iBOT and iBOT-D)')
    parser.add_argument('--out', type=Path, help='CSV to write (default: named by the hardware)')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/gpu'))
    args = parser.parse_args(argv)
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('no GPU that torch can use: --device cpu --smoke rehearses without one')
    if args.device == 'cpu' and not args.smoke:
        parser.error('--device cpu is for --smoke; mmdssl benchmark measures a CPU')
    if args.data_root is not None and not (args.data_root / 'unlabelled').is_dir():
        parser.error(f'--data-root {args.data_root}: there is no folder unlabelled in it')
    return args


def tests() -> Iterable[dict[str, Any]]:
    """The tests marked ``gpu`` of a checkout: how many passed."""
    if not (ROOT / 'tests' / 'gpu').is_dir():
        yield dict(name='tests marked gpu', value=0.0, unit='tests', reference='none in a wheel')
        return
    # Without the project's own -q there is a last line with the numbers.
    command = [sys.executable, '-m', 'pytest', '-o', 'addopts=', '-q', '-m', 'gpu', 'tests/gpu']
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = run.stdout.strip().splitlines() or ['no output']
    # 5: nothing was collected; on a CPU all skip.
    if run.returncode not in (0, 5):
        print(run.stdout[-6000:], run.stderr[-2000:], sep='\n', flush=True)
    yield dict(
        name='tests marked gpu',
        value=float(run.returncode),
        unit='exit code' if run.returncode in (0, 5) else 'failed',
        reference=lines[-1].strip('= '),
    )


def scenes_as_photos(folder: Path, *, smoke: bool) -> Path:
    """Generated scenes in the layout of photos."""
    from mmdssl.datasets.scenes import PRESETS, SceneSpec, write_scenes

    marker = folder / 'voc' / 'annotations' / 'instances_val2012.json'
    if marker.exists():
        return folder
    made = folder / 'made'
    write_scenes(
        made,
        SceneSpec(**PRESETS['default']),
        images=64 if smoke else 3000,
        val_images=32 if smoke else 500,
        workers=len(os.sched_getaffinity(0)),
    )
    (folder / 'voc' / 'annotations').mkdir(parents=True, exist_ok=True)
    shutil.copytree(made / 'train', folder / 'unlabelled', dirs_exist_ok=True)
    for split in ('train', 'val'):
        shutil.copytree(made / split, folder / 'voc' / f'{split}2012', dirs_exist_ok=True)
        shutil.copy(
            made / 'annotations' / f'instances_{split}.json',
            folder / 'voc' / 'annotations' / f'instances_{split}2012.json',
        )
    return folder

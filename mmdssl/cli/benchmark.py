"""Measure the speed of the package on this machine and keep the numbers.

    mmdssl benchmark                  # everything
    mmdssl benchmark rcc loader       # some of it
    mmdssl benchmark loader --image-dir /data/coco/val2017
    mmdssl benchmark step --only Leopart      # and what it is measured in turns with
    mmdssl benchmark gpu --help               # the proof on a GPU, with options of its own

Values are medians; speed-ups are medians of ratios within one interleaved run. Numbers go into one
CSV per hardware and torch version, in tools/benchmarks/results of a checkout or else in
work_dirs/benchmarks, and replace older ones of the same benchmark; with --only those of the same
name.
"""

import argparse
import csv
import importlib
import inspect
import os
import pkgutil
import platform
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmdssl.cli import benchmarks
from mmdssl.core.shipped import shipped
from mmdssl.engine.command_line import CommandLine

COLUMNS = ('benchmark', 'name', 'value', 'unit', 'target', 'reached', 'reference')


def benchmark_names() -> list[str]:
    """Modules of ``mmdssl.cli.benchmarks``."""
    return sorted(one.name for one in pkgutil.iter_modules(benchmarks.__path__) if not one.ispkg)


def results_folder() -> Path:
    """Where the numbers are kept: with those of other machines in a checkout."""
    kept = shipped('tools') / 'benchmarks' / 'results'
    return kept if kept.is_dir() else Path('work_dirs/benchmarks')


def hardware_name() -> str:
    """This machine in a word fit for a file name, e.g. ``amd-epyc-2core``."""
    import torch

    model = platform.processor() or platform.machine()
    cpuinfo = Path('/proc/cpuinfo')
    if cpuinfo.exists():
        found = re.search(r'^model name\s*:\s*(.+)$', cpuinfo.read_text(), re.MULTILINE)
        model = found[1] if found else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    parts = [model, f'{cores}core']
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    return '-'.join(re.sub(r'[^a-z0-9]+', '-', part.lower()).strip('-') for part in parts)


def results_name() -> str:
    """File of the numbers of this machine and torch, without its ending."""
    import torch

    return f'{hardware_name()}_torch-{torch.__version__.split("+")[0]}'


def reached(value: float, target: str) -> str:
    """'yes' or 'no' for a target like ``'<= 50'``; empty without one."""
    if not target:
        return ''
    found = re.fullmatch(r'(<=|>=)\s*([\d.]+)', target)
    if found is None:
        raise ValueError(f"target {target!r} is not of the form '<= 50' or '>= 5'")
    bound = float(found[2])
    return 'yes' if (value <= bound if found[1] == '<=' else value >= bound) else 'no'


def measure(
    name: str, repeat: int | None, image_dir: Path | None, only: str | None = None
) -> list[dict[str, Any]]:
    """Run one benchmark; its rows with all columns.

    Raises:
        ValueError: If it cannot be limited to ``only``, or a row lacks a column.
    """
    function = importlib.import_module(f'{benchmarks.__name__}.{name}').rows
    known = inspect.signature(function).parameters
    if only and 'only' not in known:
        raise ValueError(f'benchmark {name} has no parts to choose from: leave --only out')
    given = dict(repeat=repeat, image_dir=image_dir, only=only)
    rows = function(**{key: value for key, value in given.items() if value and key in known})
    table = []
    for row in rows:
        missing = {'name', 'value', 'unit'} - set(row)
        if missing:
            raise ValueError(f'a row of benchmark {name} lacks {sorted(missing)}: {row}')
        table.append(line(name, row))
    return table


def line(benchmark: str, row: dict[str, Any]) -> dict[str, str]:
    """A row as it stands in a CSV, with all columns."""
    target = row.get('target', '')
    return dict(
        benchmark=benchmark,
        name=row['name'],
        value=f'{row["value"]:.4g}',
        unit=row['unit'],
        target=target,
        reached=reached(row['value'], target),
        reference=row.get('reference', ''),
    )


def merge_csv(path: Path, rows: Sequence[dict[str, Any]], *, by_name: bool = False) -> None:
    """Write rows into a CSV in place of the older ones of the same benchmarks, or names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = ('benchmark', 'name') if by_name else ('benchmark',)

    def what(row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row[column] for column in columns)

    measured = {what(row) for row in rows}
    kept: list[dict[str, Any]] = []
    if path.exists():
        with path.open(newline='') as file:
            kept = [row for row in csv.DictReader(file) if what(row) not in measured]
    merged = sorted([*kept, *rows], key=lambda row: row['benchmark'])  # stable within one
    part = path.with_suffix('.part')
    with part.open('w', newline='') as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(merged)
    os.replace(part, path)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 if a benchmark failed to run."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ['gpu']:
        from mmdssl.cli import benchmark_gpu

        sys.argv[0] += ' gpu'  # what its usage begins with
        return benchmark_gpu.main(arguments[1:])
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = benchmark_names()
    parser.add_argument(
        'benchmarks', nargs='*', metavar='NAME', help=f'of {", ".join(names)} (default: all)'
    )
    parser.add_argument('--repeat', type=int, help='rounds of each measurement')
    parser.add_argument('--image-dir', type=Path, help='folder of JPEG images for the loader')
    parser.add_argument('--only', metavar='TEXT', help='parts of step with TEXT in a name')
    parser.add_argument('--out', type=Path, help='CSV to write (default: named by the hardware)')
    args = parser.parse_args(arguments)
    unknown = set(args.benchmarks) - set(names)
    if unknown:
        parser.error(f'unknown benchmark {sorted(unknown)}: choose of {names}')
    out = args.out or results_folder() / f'{results_name()}.csv'

    failed = []
    for name in args.benchmarks or names:
        print(f'{name} ...', flush=True)
        try:
            rows = measure(name, args.repeat, args.image_dir, args.only)
        except Exception:  # one benchmark that cannot run here must not hide the others
            traceback.print_exc()
            failed.append(name)
            continue
        for row in rows:
            verdict = f'  target {row["target"]}: {row["reached"]}' if row['target'] else ''
            print(f'  {row["name"]:<72} {row["value"]:>8} {row["unit"]}{verdict}', flush=True)
        merge_csv(out, rows, by_name=args.only is not None)
    print(f'wrote {out}' + (f'; failed: {", ".join(failed)}' if failed else ''))
    return 1 if failed else 0

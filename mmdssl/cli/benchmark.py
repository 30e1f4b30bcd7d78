"""Measure the speed of the package on this machine and keep the numbers.

    python tools/benchmark.py                  # everything
    python tools/benchmark.py rcc loader       # some of it
    python tools/benchmark.py loader --images /data/coco/val2017
    python tools/benchmark.py step --only Leopart      # and what it is measured in turns with

Each benchmark is a module in ``tools/benchmarks`` with a function ``rows(repeat=..., ...)`` that
gives dicts with ``name``, ``value`` and ``unit``, and where they apply ``target`` ('<= 50') and
``reference``. Values are medians; speed-ups are medians of ratios within one interleaved run.
Numbers go into ``tools/benchmarks/results``, one CSV per hardware and torch version, and replace
older ones of the same benchmark; with ``--only`` those of the same name.
"""

import argparse
import csv
import importlib.util
import inspect
import os
import platform
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mmdssl.engine.command_line import CommandLine

FOLDER = Path(__file__).resolve().parent / 'benchmarks'
COLUMNS = ('benchmark', 'name', 'value', 'unit', 'target', 'reached', 'reference')


def benchmark_names() -> list[str]:
    """Modules of ``tools/benchmarks``."""
    return sorted(path.stem for path in FOLDER.glob('[!_]*.py'))


def hardware_name() -> str:
    """This machine in a word fit for a file name, e.g. ``amd-epyc-2core``."""
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
    name: str, repeat: int | None, images: Path | None, only: str | None = None
) -> list[dict[str, Any]]:
    """Run one benchmark; its rows with all columns.

    Raises:
        ValueError: If it cannot be limited to ``only``, or a row lacks a column.
    """
    spec = importlib.util.spec_from_file_location(f'benchmark_{name}', FOLDER / f'{name}.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = module.rows
    known = inspect.signature(function).parameters
    if only and 'only' not in known:
        raise ValueError(f'benchmark {name} has no parts to choose from: leave --only out')
    given = dict(repeat=repeat, images=images, only=only)
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
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = benchmark_names()
    parser.add_argument('benchmarks', nargs='*', metavar='NAME', help=f'of {", ".join(names)}')
    parser.add_argument('--repeat', type=int, help='rounds of each measurement')
    parser.add_argument('--images', type=Path, help='folder of JPEG photos for the loader')
    parser.add_argument('--only', metavar='TEXT', help='parts of step with TEXT in a name')
    parser.add_argument('--out', type=Path, help='CSV to write (default: named by the hardware)')
    args = parser.parse_args(argv)
    unknown = set(args.benchmarks) - set(names)
    if unknown:
        parser.error(f'unknown benchmark {sorted(unknown)}: choose of {names}')
    torch_version = torch.__version__.split('+')[0]
    out = args.out or FOLDER / 'results' / f'{hardware_name()}_torch-{torch_version}.csv'

    failed = []
    for name in args.benchmarks or names:
        print(f'{name} ...', flush=True)
        try:
            rows = measure(name, args.repeat, args.images, args.only)
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


if __name__ == '__main__':
    sys.exit(main())

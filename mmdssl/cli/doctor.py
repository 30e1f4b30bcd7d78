"""Shows which distribution provides which package, what is missing for what, and the remedy.

    mmdssl doctor                  # what works, and what does not and why
    mmdssl doctor --for all        # exit status 0 only if everything works
    mmdssl doctor --import         # imports every package too (half a minute)

Exit status: 0 if everything that ``--for`` names works (default: pre-training), 1 otherwise.
It runs without mmdssl being installed, and without anything but Python.
"""

import argparse
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence

from mmdssl.compat import PURPOSES, Package, Problem, diagnose, inspect_stack

TITLES = {'pretrain': 'pre-training', 'det': 'detection', 'seg': 'segmentation'}
# What an import has to reach: these pull in the version checks and compiled ops of each package.
PROBES = {
    'cv2': 'cv2',
    'pycocotools': 'pycocotools.mask',
    'mmpretrain': 'mmpretrain.models',
    'mmcv._ext': 'mmcv.ops',
    'mmdet': 'mmdet.models',
    'mmseg': 'mmseg.models',
}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--for',
        dest='purpose',
        choices=[*PURPOSES, 'all'],
        default='pretrain',
        help='what has to work for exit status 0',
    )
    parser.add_argument(
        '--import',
        dest='imports',
        action='store_true',
        help='also import every package in a fresh interpreter',
    )
    return parser.parse_args(argv)


def try_imports(modules: Iterable[str], *, timeout: float = 300) -> dict[str, str]:
    """Imports modules in a fresh interpreter, in order.

    Args:
        modules: Names to import.
        timeout: Seconds after which the rest counts as failed.

    Returns:
        Name -> last line of the error, for those that fail; a crash counts against the module
        that was being imported.
    """
    names = list(modules)
    code = (
        'import importlib, sys\n'
        'for name in sys.argv[1:]:\n'
        '    print("\\n@try", name, flush=True)\n'
        '    try: importlib.import_module(name)\n'
        '    except BaseException as e:\n'
        '        print("\\n@fail", name, type(e).__name__, *str(e).split(), flush=True)\n'
        'print("\\n@end", flush=True)\n'
    )
    command = [sys.executable, '-W', 'ignore', '-c', code, *names]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        output, ending = run.stdout, f'the interpreter ended with status {run.returncode}'
    except subprocess.TimeoutExpired as error:
        output = error.stdout.decode() if isinstance(error.stdout, bytes) else error.stdout or ''
        ending = f'no answer within {timeout:g} s'
    marks = [line.split(maxsplit=2) for line in output.splitlines() if line.startswith('@')]
    failures = {mark[1]: mark[2] for mark in marks if mark[0] == '@fail'}
    tried = [mark[1] for mark in marks if mark[0] == '@try']
    if tried and marks[-1] != ['@end']:
        failures.setdefault(tried[-1], ending)
    return failures


def provider(package: Package, failures: Mapping[str, str]) -> str:
    """Where a package comes from, in a few words."""
    if package.module == 'mmcv._ext':
        if not package.present:
            return 'not compiled'
        return 'compiled, do not load' if package.module in failures else 'compiled'
    if not package.present:
        return 'not installed'
    return ' + '.join(f'{k} {v}' for k, v in package.distributions.items()) or 'not from pip'


def show(
    stack: Mapping[str, Package], problems: Sequence[Problem], failures: Mapping[str, str]
) -> None:
    """Prints the table of packages, then one line a purpose, then problems with remedies."""
    rows = [('Python', platform.python_version(), sys.executable)]
    for package in stack.values():
        module = 'mmcv compiled ops' if package.module == 'mmcv._ext' else package.module
        version = package.version if package.present and package.version else '-'
        rows.append((module, version, provider(package, failures)))
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:  # rich is a convenience here
        for row in rows:
            print('{:<18} {:<16} {}'.format(*row))
    else:
        table = Table('package', 'version', 'provided by')
        for row in rows:
            table.add_row(*row)
        Console().print(table)
    print()
    for purpose, title in TITLES.items():
        blocked = any(purpose in problem.blocks for problem in problems)
        print(f'{title:<14} {"does not work, see below" if blocked else "works"}')
    for problem in problems:
        what = ', '.join(TITLES[name] for name in TITLES if name in problem.blocks)
        print(f'\n{"needed for " + what if what else "warning"}: {problem.message}')
        print(f'  remedy: {problem.remedy}')


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    args = parse_args(argv)
    wanted = set(PURPOSES) if args.purpose == 'all' else {args.purpose}
    stack = inspect_stack()
    modules = {module for purpose in PURPOSES for module in PURPOSES[purpose]}
    if not args.imports:
        # Ops compiled for another torch look whole until they are loaded.
        modules &= {'mmcv._ext'}
    # In the order of the table; torch first, since mmcv's ops find its libraries only then.
    probes = {PROBES.get(name, name): name for name in stack if name in modules}
    probes = {probe: name for probe, name in probes.items() if stack[name].present}
    found = try_imports(['torch', *probes]) if probes and stack['torch'].present else {}
    failures = {probes.get(probe, probe): error for probe, error in found.items()}
    problems = diagnose(stack, failures=failures)
    show(stack, problems, failures)
    return int(any(problem.blocks & wanted for problem in problems))

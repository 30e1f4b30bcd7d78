"""Mean and standard deviation of the last test of several runs of one config.

    mmdssl trials work_dirs/voc/seed-* [--metric pascal_voc/] [--out trials.json]

Each argument is the work folder of a run of `mmdssl train`, of which the newest scalars are read,
or a file written by `mmdssl test --out`. The standard deviation is that of a sample (n - 1).
"""

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmdssl.cli.arguments import failed
from mmdssl.engine.command_line import CommandLine

# What stands beside the scores of a test in mmengine's scalars.
_NO_SCORES = frozenset({'step', 'time', 'data_time'})


def last_scores(path: Path) -> dict[str, float]:
    """Scores of the last test of a run.

    Args:
        path: Work folder, or a json file of ``mmdssl test --out``.

    Raises:
        FileNotFoundError: If there is no such run, or it has not been tested yet.
    """
    if path.is_file():
        return _numbers(json.loads(path.read_text(encoding='utf-8')))
    logs = sorted(path.glob('*/vis_data/*.json'), key=lambda file: file.parts[-3])
    for log in reversed(logs):
        lines = [json.loads(line) for line in log.read_text(encoding='utf-8').splitlines() if line]
        # Lines of training hold a loss; those of a test hold scores, named 'metric/score'.
        tests = [line for line in lines if 'loss' not in line and any('/' in name for name in line)]
        if tests:
            return _numbers(tests[-1])
    raise FileNotFoundError(
        f'{path} holds no scores of a test: give work folders of finished runs, or files of '
        '`mmdssl test --out`'
    )


def _numbers(entries: Mapping[str, object]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in entries.items()
        if name not in _NO_SCORES and isinstance(value, (int, float))
    }


def summarize(trials: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Mean, standard deviation, minimum and maximum of the scores that all trials have.

    Args:
        trials: Scores of each run, at least one.

    Returns:
        By score: ``mean``, ``std`` (0 for one trial), ``min``, ``max``, ``trials``.

    Raises:
        ValueError: If the trials have no score in common.
    """
    names = [name for name in trials[0] if all(name in trial for trial in trials)]
    if not names:
        raise ValueError('the trials have no score in common: are they runs of one config?')
    values = {name: [trial[name] for trial in trials] for name in names}
    return {
        name: dict(
            mean=statistics.mean(found),
            std=statistics.stdev(found) if len(found) > 1 else 0.0,
            min=min(found),
            max=max(found),
            trials=len(found),
        )
        for name, found in values.items()
    }


def main(argv: list[str] | None = None) -> int:
    """The command line; 0, or 2 with one sentence on unusable input."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('runs', type=Path, nargs='+', help='work folders, or files of scores')
    parser.add_argument('--metric', default='', help='only scores whose names begin like this')
    parser.add_argument('--out', type=Path, help='file for the numbers (.json)')
    options = parser.parse_args(argv)
    from rich.console import Console
    from rich.table import Table

    from mmdssl.core.checkpointing import atomic_text

    try:
        found = summarize([last_scores(path) for path in options.runs])
        found = {name: score for name, score in found.items() if name.startswith(options.metric)}
        if not found:
            raise ValueError(f'--metric: no score begins with {options.metric!r}')
    except (OSError, ValueError) as error:
        return failed(error)
    table = Table('score', 'mean', 'std', 'min', 'max', title=f'{len(options.runs)} trials')
    for name, score in found.items():
        table.add_row(name, *(f'{score[key]:.4f}' for key in ('mean', 'std', 'min', 'max')))
    Console().print(table)
    if options.out:
        atomic_text(json.dumps(found, indent=2) + '\n', options.out)
    return 0

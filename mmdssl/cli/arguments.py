"""What commands share: options with one name, one meaning and one help text; one way to fail."""

import argparse
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmdssl.engine.command_line import OptionsAction

__all__ = [
    'add_amp',
    'add_cfg_options',
    'add_config',
    'add_launcher',
    'add_log',
    'add_source',
    'add_workers',
    'command_text',
    'failed',
    'positive',
    'renamed',
]


def add_config(parser: argparse.ArgumentParser, what: str) -> None:
    """CONFIG; ``what`` says which configs the command takes."""
    parser.add_argument(
        'config', type=Path, help=f'{what}: a file, or the name of one that comes with mmdssl'
    )


def add_cfg_options(parser: argparse.ArgumentParser, example: str) -> None:
    """``--cfg-options``; values stay as typed, see `OptionsAction`."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        metavar='KEY=VALUE',
        help=f'override config values, e.g. {example}',
    )


def add_amp(
    parser: argparse.ArgumentParser, choices: Sequence[str] = ('fp16', 'bf16', 'auto', 'off')
) -> None:
    """``--amp``, alone or with a precision; None where it is not given."""
    alone = 'auto' if 'auto' in choices else choices[0]
    meaning = ' (bf16 if the device supports it, otherwise fp16)' if alone == 'auto' else ''
    parser.add_argument(
        '--amp',
        nargs='?',
        const=alone,
        choices=choices,
        help=f'mixed precision; without a value {alone}{meaning}',
    )


def add_source(parser: argparse.ArgumentParser, checkpoint: str = 'checkpoint') -> None:
    """``--source``: which network of a checkpoint."""
    parser.add_argument(
        '--source',
        choices=('auto', 'teacher', 'student'),
        default='auto',
        help=f'network of the {checkpoint}; auto (default): the one that the method is evaluated '
        'by, such as the teacher of iBOT',
    )


def add_log(parser: argparse.ArgumentParser) -> None:
    """``--log``: where curves go besides the folder of the run."""
    parser.add_argument(
        '--log',
        choices=('tensorboard', 'wandb', 'mlflow', 'clearml'),
        help='send the curves there as well; its package has to be installed',
    )


def add_launcher(parser: argparse.ArgumentParser) -> None:
    """``--launcher``."""
    parser.add_argument(
        '--launcher',
        choices=('none', 'pytorch', 'slurm', 'mpi'),
        default='none',
        help='what started this process, if there are several (default: none)',
    )


def add_workers(parser: argparse.ArgumentParser) -> None:
    """``--workers``: as many processes as this one may use cores."""
    # On Linux a container or scheduler may grant fewer than there are.
    affinity = getattr(os, 'sched_getaffinity', None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    parser.add_argument(
        '--workers', type=int, default=cores, help='processes (default: one per core)'
    )


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'{text} must be at least 1')
    return number


def command_text() -> str:
    """The command that runs, as it can be typed again."""
    program, *arguments = sys.argv
    python = 'python ' if program.endswith('.py') else ''
    return f'{python}{program} {shlex.join(arguments)}'.strip()


def failed(error: Exception) -> int:
    """Say in one sentence what was wrong with the input; gives the exit status."""
    from mmdssl.engine.plain_errors import says_what_happened

    print(f'error: {says_what_happened(error)}', file=sys.stderr)
    return 2


def renamed(arguments: Sequence[str], names: Mapping[str, str]) -> list[str]:
    """Arguments in which former names of options are replaced; for the scripts in ``tools``."""
    return [
        names.get(option, option) + equals + value
        for option, equals, value in (text.partition('=') for text in arguments)
    ]

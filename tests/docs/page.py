"""A page of documentation taken apart: its commands, and the files it tells a reader to save."""

import contextlib
import importlib
import io
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import ROOT

__all__ = ['commands', 'files', 'load', 'options_of', 'small', 'write_folder']

# What the page runs for minutes runs here for seconds; each left side stands once in a command.
_SMALL = (
    ('scenes data/scenes --images 600', 'scenes data/scenes --images 30'),
    (
        'data_root=$PHOTOS train_cfg.max_iters=250',
        'data_root=$PHOTOS train_cfg.max_iters=3 param_scheduler.0.warmup_iters=1',
    ),
    (
        '--cfg-options data_root=$LABELLED train_cfg.max_iters=300 train_cfg.val_interval=300',
        '--cfg-options data_root=$LABELLED train_cfg.max_iters=2 train_cfg.val_interval=2',
    ),
    (
        'model.backbone.init_cfg=None train_cfg.max_iters=300 train_cfg.val_interval=300',
        'model.backbone.init_cfg=None train_cfg.max_iters=2 train_cfg.val_interval=2',
    ),
)


def load(name: str) -> str:
    """The text of a page in ``docs/``."""
    return (ROOT / 'docs' / name).read_text()


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf'^```{language}\n(.*?)^```', text, re.M | re.S)


def commands(text: str) -> list[str]:
    """The lines of all ``bash`` blocks in order: continued lines joined, comments removed."""
    found = []
    for block in _blocks(text, 'bash'):
        for line in re.sub(r'\\\n\s*', '', block).splitlines():
            words = shlex.split(line, comments=True)
            if words:
                found.append(re.sub(r'\s+# .*', '', line))
    return found


def options_of(words: Sequence[str]) -> set[str]:
    """Options that the command of a line ``mmdssl NAME ...`` takes, as its help says."""
    _, name, *rest = words
    part = rest[:1] if name in ('analyze', 'convert', 'shards') else []
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
        importlib.import_module(f'mmdssl.cli.{name}').main([*part, '--help'])
    return set(re.findall(r'--[a-z-]+', said.getvalue()))


def files(text: str) -> dict[str, str]:
    """Python blocks by the file that their first line, a comment, names."""
    return {
        block.splitlines()[0].removeprefix('# '): block
        for block in _blocks(text, 'python')
        if block.startswith('# my/')
    }


def small(lines: list[str], changes: Sequence[tuple[str, str]] = _SMALL) -> list[str]:
    """The commands with the few changes that make them quick.

    Args:
        lines: Commands of a page.
        changes: What is replaced by what; the default is for the page from photos to a detector.

    Raises:
        ValueError: If the page has no such command any more, or several.
    """
    text = '\n'.join(lines)
    for long, short in changes:
        if text.count(long) != 1:
            raise ValueError(f'{long!r} stands {text.count(long)} times in the page')
        text = text.replace(long, short)
    return text.splitlines()


def write_folder(folder: Path, text: str) -> Path:
    """A folder that looks like the checkout, with the files that the page tells to save."""
    for name in ('configs', 'tools', 'projects'):
        (folder / name).symlink_to(ROOT / name)
    for name, content in files(text).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return folder

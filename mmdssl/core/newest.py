"""The newest checkpoint of a run that is whole, and why newer ones were passed over.

A run may have been killed at any moment: between a checkpoint and the note that names it, by a
full disk, by a machine that lost its last writes. So the note ``last_checkpoint`` is one witness
among others, and files are judged by what is in them.
"""

import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from mmdssl.core.reading import load_checkpoint_file
from mmdssl.core.weight_values import check_finite_state

__all__ = [
    'INTERRUPTED',
    'NOTE',
    'RUN_PARTS',
    'checkpoints_of',
    'find_checkpoint',
    'newest_checkpoint',
]

#: Name of the checkpoint that a stopped run leaves.
INTERRUPTED = 'interrupted.pth'
#: Name of the file that names the newest checkpoint.
NOTE = 'last_checkpoint'
#: What a checkpoint must hold to resume from it.
RUN_PARTS = frozenset(('meta', 'state_dict', 'optimizer', 'message_hub'))
_TEMPLATES = ('epoch_{}.pth', 'iter_{}.pth')


def find_checkpoint(work_dir: str | Path, resume: str, template: str | None = None) -> Path | None:
    """The checkpoint that ``--resume`` means; None if 'auto' finds a fresh work folder.

    Args:
        work_dir: Of the run.
        resume: A file, or 'auto' for the newest one that is whole; each that is passed over for
            an older one is named on the standard error.
        template: Name of checkpoint files with ``{}`` for the number, where it is not mmengine's.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the folder has checkpoints or names one, and none can be resumed from.
    """
    if resume != 'auto':
        path = Path(resume).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f'--resume: no checkpoint at {path}')
        return path
    found, passed = newest_checkpoint(work_dir, template)
    if found is None and passed:
        raise ValueError(
            f'--resume auto: no checkpoint of {work_dir} can be resumed from. {" ".join(passed)} '
            'Give another one to --resume, or begin anew with --overwrite'
        )
    if _is_first_process():
        for reason in passed:
            print(f'--resume auto: passed over: {reason}', file=sys.stderr)
        outcome = f'resuming from {found}' if found else f'no checkpoint in {work_dir}, a new run'
        print(f'--resume auto: {outcome}' + ('' if found else ' starts'), file=sys.stderr)
    return found


def newest_checkpoint(
    work_dir: str | Path, template: str | None = None
) -> tuple[Path | None, list[str]]:
    """The newest whole checkpoint of a folder, and a sentence on each newer one passed over.

    The one that the note names comes first, and before it whatever was written after the note
    (a run killed in between) by an iteration further on. Where the note or its file cannot be
    used, the whole checkpoint with most iterations is the newest. Only heads of a series
    (``epoch_9.pth`` before ``epoch_8.pth``) are opened.

    Args:
        work_dir: Of the run; it may have been moved.
        template: See :func:`find_checkpoint`.
    """
    folder = Path(work_dir)
    files = checkpoints_of(folder, template)
    noted, complaint = _noted(folder)
    passed = [complaint] if complaint else []
    if noted is not None and noted not in files:
        files = [*files, noted]
    bad: dict[Path, str] = {}
    while True:
        pool = [file for file in files if file not in bad]
        if noted in pool:
            since = (folder / NOTE).stat().st_mtime_ns
            pool = [f for f in pool if f == noted or f.stat().st_mtime_ns > since]
        before = len(bad)
        heads = _heads(pool, bad)
        if noted in bad and noted in pool:
            continue  # without it, older ones count as well
        if not heads:
            if len(bad) > before and len(bad) < len(files):
                continue
            return None, passed + list(bad.values())
        newest = max(heads, key=lambda file: heads[file])
        try:
            # The whole of it, with its check sums.
            check_finite_state(load_checkpoint_file(newest), newest)
        except ValueError as error:
            bad[newest] = f'{error}.'
            continue
        return newest, passed + list(bad.values())


def checkpoints_of(work_dir: str | Path, template: str | None = None) -> list[Path]:
    """Files of a folder with the names that a run gives its checkpoints."""
    templates = [*_TEMPLATES, *([template] if template else [])]
    names = [r'\d+'.join(map(re.escape, re.split(r'\{[^}]*\}', one))) for one in templates]
    pattern = re.compile('|'.join([*names, re.escape(INTERRUPTED)]))
    folder = Path(work_dir)
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if pattern.fullmatch(file.name))


def _noted(folder: Path) -> tuple[Path | None, str | None]:
    """The file that the note names, or what is wrong with the note."""
    note = folder / NOTE
    if not note.exists():
        return None, None
    try:
        text = note.read_text(encoding='utf-8').strip()
        named = Path(text)
        for path in (folder / named.name, named):  # the folder may have been moved
            if text and path.is_file():
                return path, None
    except (OSError, ValueError):  # binary, or a name that no file can have
        text = ''
    if not text:
        return None, f'{note} names no file.'
    return None, f'{note} names {text[:200]}, which does not exist.'


def _heads(pool: Iterable[Path], bad: dict[Path, str]) -> dict[Path, int]:
    """Iterations of the newest readable file of each series; the unreadable go to ``bad``."""
    series: Mapping[str, list[tuple[int, Path]]] = defaultdict(list)
    for file in pool:
        numbers = re.findall(r'\d+', file.name)
        series[re.sub(r'\d+', '#', file.name)].append((int(numbers[-1]) if numbers else 0, file))
    heads = {}
    for members in series.values():
        for _, file in sorted(members, reverse=True):
            try:
                heads[file] = _iterations(file)
                break
            except (ValueError, FileNotFoundError) as error:
                bad[file] = f'{error}.'
    return heads


def _iterations(path: Path) -> int:
    """How far the run of a checkpoint had come.

    Raises:
        ValueError: If it cannot be read or holds no run.
    """
    content = load_checkpoint_file(path, lazy=True)
    if not isinstance(content, Mapping) or not content.keys() >= RUN_PARTS:
        raise ValueError(f'{path} holds no run, only weights')
    iterations = content['meta'].get('iter') if isinstance(content['meta'], Mapping) else None
    if not isinstance(iterations, int):
        raise ValueError(f'{path} does not say its iteration')
    return iterations


def _is_first_process() -> bool:
    """Also before the processes know each other."""
    return not int(os.environ.get('RANK') or os.environ.get('SLURM_PROCID') or 0)

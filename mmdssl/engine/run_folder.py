"""A work folder belongs to one run: nothing in it is overwritten by accident, or by two at once."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config

from mmdssl.core.agreement import of_main_process
from mmdssl.core.checkpointing import remove_leftovers
from mmdssl.core.locking import FileLock, LockedError
from mmdssl.core.newest import NOTE, checkpoints_of

__all__ = [
    'check_folder',
    'clear_folder',
    'clear_leftovers',
    'delete_due',
    'held_folder',
    'template_of',
    'traces',
]

_LOCK = '.run.lock'


@contextmanager
def held_folder(work_dir: str | Path) -> Iterator[None]:
    """Hold a work folder against other runs while the block runs; the main process does.

    A run that was killed holds nothing any more. Held again inside, it stays held.

    Raises:
        ValueError: In every process, if another run holds it.
    """
    lock = FileLock(Path(work_dir) / _LOCK)

    def take() -> None:
        try:
            Path(work_dir).mkdir(parents=True, exist_ok=True)
            lock.__enter__()
        except LockedError as error:
            raise ValueError(
                f'another run is writing into {work_dir} ({error}): stop it, or give this one '
                'another --work-dir'
            ) from error
        except OSError as error:
            raise ValueError(
                f'the work folder {work_dir} cannot be written ({error.strerror}): give another '
                '--work-dir'
            ) from error

    of_main_process(take)
    try:
        yield
    finally:
        lock.__exit__()


def traces(work_dir: str | Path, template: str | None = None) -> list[Path]:
    """Checkpoints and curves of a run that a folder holds.

    A curve without a measurement of a trained network is no trace: it is there again at once.
    """
    folder = Path(work_dir)
    if not folder.is_dir():
        return []
    curves = [file for file in sorted(folder.glob('*.json*')) if _is_curve(file)]
    return [*checkpoints_of(folder, template), *curves]


def check_folder(config: Config, *, overwrite: bool = False) -> None:
    """Refuse to begin a run where there is one.

    Args:
        config: With ``work_dir``, and ``load_from`` and ``resume`` as they will be used.
        overwrite: The user wants the earlier run replaced.

    Raises:
        ValueError: If the folder holds a run that this one does not continue.
    """
    folder = Path(config.work_dir)
    found = traces(folder, template_of(config))
    if not found or overwrite:
        return
    if config.get('resume') and Path(config.load_from).resolve().parent == folder.resolve():
        return
    names = ', '.join(file.name for file in found[:3]) + (', ...' if len(found) > 3 else '')
    raise ValueError(
        f'{folder} holds a run ({names}), which a new one would overwrite: add --resume to '
        'continue it, give another --work-dir, or add --overwrite to replace it'
    )


def clear_folder(config: Config) -> None:
    """Delete checkpoints, note and curves of the earlier run, but not the file to start from."""
    start = config.get('load_from')
    kept = Path(start).resolve() if start and Path(start).exists() else None
    folder = Path(config.work_dir)
    for file in [*traces(folder, template_of(config)), folder / NOTE]:
        if file.resolve() != kept:
            file.unlink(missing_ok=True)


def clear_leftovers(work_dir: str | Path) -> None:
    """Delete what a killed run was writing; the folder must be held."""
    remove_leftovers(work_dir, '*.pth', NOTE, '*.json', '*.jsonl', '*.txt')


def delete_due(work_dir: str | Path, names: Iterable[str], start: str | Path | None) -> None:
    """Delete the files that the checkpoint resumed from was to replace when a kill came.

    Args:
        work_dir: Of the run.
        names: What that checkpoint says of them.
        start: That checkpoint; files beside one in another folder are not ours.
    """
    folder = Path(work_dir)
    if start and Path(start).resolve().parent == folder.resolve():
        for name in names:
            (folder / name).unlink(missing_ok=True)


def template_of(config: Config) -> str | None:
    """How the config names checkpoint files, where it says so."""
    hook = (config.get('default_hooks') or {}).get('checkpoint') or {}
    return hook.get('filename_tmpl')


def _is_curve(path: Path) -> bool:
    """Whether a file has one JSON record a line, the last one of a trained network."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return False
    return any(_iteration(line) > 0 for line in lines[-2:])  # the last may be cut off


def _iteration(line: bytes) -> int:
    try:
        record = json.loads(line)
    except ValueError:
        return 0
    iteration = record.get('iter') if isinstance(record, dict) else None
    return iteration if isinstance(iteration, int) else 0

"""A journal of unreadable images that all processes of a run share, and a limit to their share.

The journal is a text file, one line an image, to which every worker process appends and from
which each reads what the others found. Nothing else needs to be shared, so it works with
forked, spawned and persistent workers alike. The file appears with the first bad image. Each
rank of a distributed run keeps a journal of its own. One in the folder for temporary files goes
with the process that made it, or, where that was killed, a day later when another one looks.
"""

import os
import re
import tempfile
import time
import uuid
import warnings
import weakref
from pathlib import Path
from typing import NamedTuple

from mmdssl.core.wording import printable

__all__ = ['BadImage', 'BadImages', 'TooManyBadImagesError']


_PREFIX = 'mmdssl_bad_images_'


class BadImage(NamedTuple):
    """One entry of the journal."""

    sample: int
    path: str
    reason: str


class TooManyBadImagesError(RuntimeError):
    """So many files of a data set cannot be read that training on the rest would mislead."""


class BadImages:
    """The unreadable images of one data set.

    Args:
        total: Number of images of the data set.
        max_share: Share of them, 0..1, that may be bad.
        min_count: As many bad images are always tolerated, so that a few bad files do not end a
            run on a small data set.
        path: The journal. None: a new file in the folder for temporary files, which is removed
            when this process ends, unless too many images were bad. An existing journal is
            continued.
    """

    def __init__(
        self,
        *,
        total: int,
        max_share: float = 0.05,
        min_count: int = 10,
        path: str | Path | None = None,
    ) -> None:
        if not 0 <= max_share <= 1:
            raise ValueError(f'the share of bad images must lie in 0..1, got {max_share}')
        self.temporary = path is None
        if path is None:
            folder = Path(tempfile.gettempdir())
            _remove_orphans(folder)
            path = folder / f'{_PREFIX}{os.getpid()}_{uuid.uuid4().hex[:8]}.txt'
            limit = max(max_share * total, min_count)
            weakref.finalize(self, _remove, path, os.getpid(), limit)
        self.total = total
        self.max_share = max_share
        self.min_count = min_count
        self.path = Path(path)
        self._entries: dict[int, BadImage] = {}
        self._read_to = 0  # bytes of the journal already read by this process

    def __contains__(self, index: int) -> bool:
        """Whether this process knows image ``index`` as bad (without a look at the file)."""
        return index in self._entries

    def __len__(self) -> int:
        """Number of different bad images found by all processes so far."""
        return len(self.read())

    def add(self, index: int, path: str, reason: str) -> None:
        """Enter an image, and warn where it is the first of the run.

        Args:
            index: Its index in the data set.
            path: The file.
            reason: What is wrong with it.

        Raises:
            TooManyBadImagesError: More are bad than ``max_share`` and ``min_count`` allow.
        """
        if index in self._entries:
            return
        path, reason = _one_line(path), _one_line(reason)
        line = f'{index}\t{path}\t{reason}\n'
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # One write to a file opened for appending: lines of several processes do not mix.
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            first = os.fstat(descriptor).st_size == 0
            os.write(descriptor, line.encode('utf-8', 'surrogateescape'))
        finally:
            os.close(descriptor)
        if first:
            until = ' until this process ends' if self.temporary else ''
            warnings.warn(
                f'{printable(path)} cannot be read ({printable(reason)}): another image takes its '
                'place. '
                f'All such images are listed in {self.path}{until}',
                stacklevel=2,
            )
        count = len(self)
        if count > max(self.max_share * self.total, self.min_count):
            raise TooManyBadImagesError(
                f'{count} of {self.total} images ({count / self.total:.1%}) cannot be read, more '
                f'than the {self.max_share:.1%} allowed by max_bad_share; {self.path} lists them '
                'with reasons: repair or remove them, or raise max_bad_share'
            )

    def read(self) -> list[BadImage]:
        """All entries so far, of every process, in the order of the journal."""
        # Only what was added since the last look is parsed: the cost stays linear in the journal.
        if self.path.exists():
            with open(self.path, 'rb') as file:
                file.seek(self._read_to)
                added = file.read()
            whole = added.rfind(b'\n') + 1
            self._read_to += whole
            text = added[:whole].decode('utf-8', 'surrogateescape')
            for line in text.split('\n')[:-1]:
                index, path, reason = line.split('\t')
                self._entries.setdefault(int(index), BadImage(int(index), path, reason))
        return list(self._entries.values())


def _remove(path: Path, process: int, limit: float) -> None:
    """Delete a journal, in the process that made it; a list that ended a run is still needed."""
    if os.getpid() != process or not path.exists():
        return
    with path.open('rb') as file:
        images = {line.partition(b'\t')[0] for line in file}
    if len(images) <= limit:
        path.unlink(missing_ok=True)


def _remove_orphans(folder: Path) -> None:
    """Delete journals of this user's processes that were killed more than a day ago."""
    for file in folder.glob(f'{_PREFIX}*.txt'):
        found = re.fullmatch(rf'{_PREFIX}(\d+)_[0-9a-f]+\.txt', file.name)
        if found is None:
            continue
        try:
            old = time.time() - file.stat().st_mtime > 24 * 3600
            if old and file.stat().st_uid == os.getuid() and not _alive(int(found.group(1))):
                file.unlink()
        except FileNotFoundError:  # another process does the same
            continue


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _one_line(text: str) -> str:
    """``text`` without the characters that would break the journal's lines and columns."""
    return ' '.join(text.replace('\t', ' ').splitlines())

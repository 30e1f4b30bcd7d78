"""The journal of a long search: results are appended image by image, and an interrupt loses none.

Each shard appends to a file of its own in the folder ``<out>.parts``. A record carries its length
and a check sum; a record cut short by a kill or a full disk ends what is read of a file, and the
next run goes on from there. The first record states the format and the parameters, so that results
of different settings never mix.
"""

import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from mmdssl.core.locking import FileLock, LockedError
from mmdssl.datasets.proposals.facts import FORMAT, check_format, check_parameters
from mmdssl.datasets.proposals.store import Entry

__all__ = ['BadEntry', 'PartFile', 'kept_parameters', 'parts_folder', 'read_parts']

_FRAME = struct.Struct('<II')  # length of the record, CRC-32 of it
_RECORD = struct.Struct('<BIIHQ')  # rule or _BAD, height, width, length of the name, fingerprint
_BAD = 255


class BadEntry(NamedTuple):
    """An image that gave no proposals: its name (bytes, relative) and why."""

    name: bytes
    reason: str


def parts_folder(out: str | Path) -> Path:
    """Where the parts of a proposals file lie until they are merged."""
    return Path(f'{os.fspath(out)}.parts')


class PartFile:
    """The part one process appends to; a context manager.

    Args:
        path: The file, made where missing; whatever follows its last whole record is cut off.
        facts: Parameters and versions, ``dict(parameters=..., versions=...)``.

    Raises:
        ValueError: The part was made with other parameters or by a version of the package whose
            format is another, or another process appends to it.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        self.path = path
        self._facts = facts
        self._lock = FileLock(path.with_name(f'{path.name}.lock'), again=False)

    def __enter__(self) -> 'PartFile':
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opened:
            try:
                opened.enter_context(self._lock)
            except LockedError as error:
                raise ValueError(
                    f'{self.path} is being written by {error}: give each one its own --shard'
                ) from None
            self._file = opened.enter_context(self.path.open('ab'))
            whole = 0
            for number, (end, record) in enumerate(_records(self.path)):
                if number == 0:
                    _check_facts(self.path, record, self._facts['parameters'])
                whole = end
            self._file.truncate(whole)
            if not whole:
                self._append(json.dumps(dict(self._facts, format=FORMAT)).encode())
            self._opened = opened.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()

    def add(self, entry: Entry | BadEntry) -> None:
        """Append a result; it is in the system's hands when this returns."""
        if isinstance(entry, BadEntry):
            head = _RECORD.pack(_BAD, 0, 0, len(entry.name), 0)
            rest = entry.reason.encode('utf-8', 'surrogateescape')
        else:
            head = _RECORD.pack(entry.rule, *entry.shape, len(entry.name), entry.print)
            rows = np.column_stack([entry.boxes, entry.counts])
            rest = np.ascontiguousarray(rows, '<i4').tobytes()
        self._append(head + entry.name + rest)

    def _append(self, record: bytes) -> None:
        self._file.write(_FRAME.pack(len(record), zlib.crc32(record)) + record)
        self._file.flush()


def read_parts(
    folder: Path, parameters: Mapping[str, Any]
) -> tuple[dict[bytes, Entry | BadEntry], dict[str, str]]:
    """All results of a folder of parts.

    Args:
        folder: The folder; it need not exist.
        parameters: What the parts must have been made with.

    Returns:
        Results by image name (where there are several, one with proposals), and the versions of
        the software that made them.

    Raises:
        ValueError: A part was made with other parameters, or has another format.
    """
    results: dict[bytes, Entry | BadEntry] = {}
    versions: dict[str, set[str]] = {}
    for path in sorted(folder.glob('*.part')):
        for number, (_, record) in enumerate(_records(path)):
            if number == 0:
                for name, version in _check_facts(path, record, parameters).items():
                    versions.setdefault(name, set()).add(version)
                continue
            try:
                entry = _parse(record)
            except (ValueError, struct.error) as error:
                raise ValueError(_damaged(path)) from error
            if isinstance(entry, Entry) or entry.name not in results:
                results[entry.name] = entry
    return results, {name: ', '.join(sorted(seen)) for name, seen in versions.items()}


def kept_parameters(path: Path) -> dict[str, Any]:
    """What a part states that it is made with; nothing where its beginning is not whole.

    Raises:
        ValueError: It is damaged, or of another format.
    """
    for _, record in _records(path):
        _check_facts(path, record, {})
        return dict(json.loads(record)['parameters'])
    return {}


def _records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Whole records of a part and where each ends, up to the first broken one."""
    content = path.read_bytes()
    place = 0
    while place + _FRAME.size <= len(content):
        length, check = _FRAME.unpack_from(content, place)
        record = content[place + _FRAME.size : place + _FRAME.size + length]
        if len(record) < length or zlib.crc32(record) != check:
            return
        place += _FRAME.size + length
        yield place, record


def _check_facts(path: Path, record: bytes, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Versions in the first record of a part, its parameters compared."""
    try:
        facts = json.loads(record)
        parts = facts['parameters'], dict(facts['versions'])
    # Whatever a record that is no dict of these makes Python raise.
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(_damaged(path)) from error
    check_format(path, facts)
    check_parameters(path, parts[0], parameters)
    return parts[1]


def _damaged(path: Path) -> str:
    return f'{path} is damaged: remove it, and the same command searches its images again'


def _parse(record: bytes) -> Entry | BadEntry:
    rule, height, width, length, made_of = _RECORD.unpack_from(record)
    name = record[_RECORD.size : _RECORD.size + length]
    rest = record[_RECORD.size + length :]
    if rule == _BAD:
        return BadEntry(name, rest.decode('utf-8', 'surrogateescape'))
    rows: np.ndarray = np.frombuffer(rest, '<i4').reshape(-1, 5)  # x, y, w, h, count
    return Entry(name, (height, width), rule, rows[:, :4], rows[:, 4], made_of)

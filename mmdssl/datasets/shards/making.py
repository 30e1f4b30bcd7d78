"""A folder of images into tar shards: the same images in the same order, byte by byte.

Which image goes into which shard follows from names and lengths alone, before anything is written.
A shard appears whole or not at all, and what is in it is noted in ``parts`` before it appears, so
that the same command goes on after an interrupt and nothing is written twice. The index comes last:
a folder with an index is complete.
"""

import hashlib
import io
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mmdssl.core.checkpointing import atomic_file, atomic_text
from mmdssl.core.locking import FileLock, LockedError
from mmdssl.core.stopping import stoppable
from mmdssl.core.wording import printable
from mmdssl.datasets.decode import IMAGE_EXTENSIONS
from mmdssl.datasets.image_header import ImageDecodeError, read_file
from mmdssl.datasets.image_list import ByteStrings, list_images
from mmdssl.datasets.proposals.progress import show_progress
from mmdssl.datasets.shards.files import is_remote, shard_files
from mmdssl.datasets.shards.index import Member, Record, ShardIndex, members
from mmdssl.datasets.shards.names import INDEX, SHARDLIST, member_of, shard_name

__all__ = ['ShardReport', 'index_shards', 'make_shards']

_BLOCK = tarfile.BLOCKSIZE


@dataclass
class ShardReport:
    """What a call has done.

    Attributes:
        images: In all shards.
        shards: Their number.
        size: Of all shards, in bytes.
        made: Shards written by this call.
        bad: Images that could not be read and are empty in their shard: name and reason.
    """

    images: int
    shards: int
    size: int
    made: int = 0
    bad: list[tuple[bytes, str]] = field(default_factory=list)


def make_shards(
    folder: str | Path,
    out: str | Path,
    *,
    size: int = 10**9,
    extensions: Sequence[str] = IMAGE_EXTENSIONS,
    progress: bool = True,
) -> ShardReport:
    """Write the images of a folder into shards.

    An image that cannot be read becomes an empty member, so that it keeps its number: the data set
    passes over it as over an unreadable file.

    Args:
        folder: The images, searched with its sub-folders, in the order of `ImageFolder`.
        out: The folder of the shards.
        size: Bytes after which the next shard begins.
        extensions: File name endings that count as images, any case.
        progress: Show a progress bar.

    Raises:
        FileNotFoundError: There is no such folder, or no image in it.
        ValueError: ``out`` holds shards of other images or of another size, or another process
            writes there.
        KeyboardInterrupt: On SIGINT or SIGTERM; the same call goes on.
    """
    folder, out = Path(folder), Path(out)
    names = list_images(folder, extensions, cache=False)
    if not len(names):
        raise FileNotFoundError(f'no image in {printable(str(folder))} or its sub-folders')
    if size < 1:
        raise ValueError(f'shards of {size} bytes: give a size of at least 1')
    if out.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f'{printable(str(out))} lies within the images: give a folder beside them')
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / 'make.lock', again=False), stoppable():
            return _make(folder, out, names, size, progress)
    except LockedError as error:
        raise ValueError(
            f'{printable(str(out))} is being written by {error}: wait for it'
        ) from None


def index_shards(
    out: str | Path, *, extensions: Sequence[str] = IMAGE_EXTENSIONS, progress: bool = True
) -> ShardReport:
    """Make the index of tar files that are there, in the order of their names.

    Args:
        out: The folder.
        extensions: Endings of members that count as images, any case.
        progress: Show a progress bar.

    Raises:
        FileNotFoundError: There is no tar file, or no image in them.
        ValueError: One cannot be read.
    """
    if is_remote(out):
        raise ValueError(f'{out}: the index is made where the shards are files, and copied beside')
    files = shard_files(out, cache=False)
    shards = [name for name in files.list() if name.endswith('.tar')]
    if not shards:
        raise FileNotFoundError(f'no .tar file in {printable(str(out))}')
    endings = tuple(os.fsencode(one.lower()) for one in extensions)
    records = []
    for shard in show_progress(shards, 'index', len(shards), unit='shards', shown=progress):
        try:
            with files.open(shard) as file:
                found = [*members(file, endings)]
            records.append(Record.pack(shard, files.size(shard) or 0, found))
        except (OSError, tarfile.TarError) as error:
            raise ValueError(
                f'{printable(shard)} cannot be read ({error}): copy it again'
            ) from error
    index = ShardIndex.of(files, records)
    if not len(index):
        raise FileNotFoundError(f'no image in the {len(shards)} tar files of {printable(str(out))}')
    _finish(index, Path(out))
    return ShardReport(len(index), len(shards), int(index.lengths.sum()))


@dataclass(frozen=True)
class _Shard:
    """What goes into a shard: where its images begin in the list, and their planned lengths."""

    number: int
    names: list[bytes]
    sizes: list[int]

    @property
    def print(self) -> str:
        """What makes it this shard."""
        text = repr(list(zip(self.names, self.sizes, strict=True)))
        return hashlib.sha256(text.encode()).hexdigest()


def _make(folder: Path, out: Path, names: ByteStrings, size: int, progress: bool) -> ShardReport:
    if (out / INDEX).exists():
        return _complete(folder, out, names, size)
    parts = out / 'parts'
    report = ShardReport(len(names), 0, 0)

    def numbered() -> Iterator[bytes]:
        for shard in _plan(folder, names, size):
            report.shards += 1
            if _is_there(out, parts, shard):
                yield from shard.names
            else:
                report.made += 1
                yield from _write(folder, out, parts, shard, report)

    for _ in show_progress(numbered(), f'shards {out.name}', len(names), shown=progress):
        pass
    records = [_read_part(parts, number)[1] for number in range(report.shards)]
    index = ShardIndex.of(shard_files(out), records)
    _finish(index, out)
    shutil.rmtree(parts)
    report.size = int(index.lengths.sum())
    return report


def _complete(folder: Path, out: Path, names: ByteStrings, size: int) -> ShardReport:
    """Of a folder that was finished before.

    Raises:
        ValueError: It holds other shards than those that would be made now.
    """
    index = ShardIndex.open(shard_files(out))
    starts = index.starts.tolist()
    planned = [0]
    for shard in _plan(folder, names, size):
        own = index.sizes[planned[-1] : planned[-1] + len(shard.sizes)]
        planned.append(planned[-1] + len(shard.names))
        # An image that could not be read is empty.
        if len(own) < len(shard.sizes) or ((own > 0) & (own != shard.sizes)).any():
            planned = []
            break
    if planned != starts or not index.names.equal(names):
        raise ValueError(
            f'{printable(str(out))} holds shards of other images than those of '
            f'{printable(str(folder))} now, or of another size: give another folder, or remove it'
        )
    return ShardReport(len(index), len(index.shards), int(index.lengths.sum()))


def _plan(folder: Path, names: ByteStrings, size: int) -> Iterator[_Shard]:
    """Images with their lengths, shard after shard."""
    number, length = 0, 0
    own: list[bytes] = []
    sizes: list[int] = []
    for name in names:
        try:
            one = os.stat(os.path.join(os.fsencode(folder), name)).st_size
        except OSError:
            one = 0
        padded = _BLOCK + -(-one // _BLOCK) * _BLOCK
        if own and length + padded > size:
            yield _Shard(number, own, sizes)
            number, own, sizes, length = number + 1, [], [], 0
        own.append(name)
        sizes.append(one)
        length += padded
    yield _Shard(number, own, sizes)


def _is_there(out: Path, parts: Path, shard: _Shard) -> bool:
    """Whether an earlier call has written this shard."""
    try:
        made_of, record = _read_part(parts, shard.number)
        return made_of == shard.print and (out / record.shard).stat().st_size == record.length
    # Missing, or whatever a damaged note makes NumPy raise: it is written anew.
    except Exception:
        return False


def _write(
    folder: Path, out: Path, parts: Path, shard: _Shard, report: ShardReport
) -> Iterator[bytes]:
    """Write a shard and the note about it; gives the names as they are written."""
    written: list[Member] = []
    taken: set[bytes] = set()
    with atomic_file(out / shard_name(shard.number)) as temporary:
        with tarfile.open(
            temporary, 'w', format=tarfile.GNU_FORMAT, errors='surrogateescape'
        ) as archive:
            for name in shard.names:
                path = os.path.join(os.fspath(folder), os.fsdecode(name))
                data, changed = b'', 0
                try:
                    data = read_file(path)
                    changed = int(os.stat(path).st_mtime)
                except (ImageDecodeError, OSError) as error:
                    reason = getattr(error, 'reason', None) or str(error)
                    report.bad.append((name, reason))
                member = member_of(name, taken)
                info = tarfile.TarInfo(member.decode('utf-8', 'surrogateescape'))
                info.size, info.mtime, info.mode = len(data), changed, 0o644
                archive.addfile(info, io.BytesIO(data))
                place = archive.offset - -(-len(data) // _BLOCK) * _BLOCK
                written.append(Member(name, place, len(data), zlib.crc32(data)))
                yield name
        record = Record.pack(shard_name(shard.number), temporary.stat().st_size, written)
        with atomic_file(_part(parts, shard.number)) as part, part.open('wb') as file:
            np.savez(
                file,
                print=np.array(shard.print),
                length=np.array(record.length),
                names=record.names.buffer,
                offsets=record.names.offsets,
                places=record.places,
                sizes=record.sizes,
                sums=record.sums,
            )


def _part(parts: Path, number: int) -> Path:
    return parts / f'{number:06d}.npz'


def _read_part(parts: Path, number: int) -> tuple[str, Record]:
    """What makes a shard the one that was planned, and the note about it."""
    with np.load(_part(parts, number), allow_pickle=False) as kept:
        names = ByteStrings(kept['names'], kept['offsets'])
        columns = (kept[key] for key in ('places', 'sizes', 'sums'))
        record = Record(shard_name(number), int(kept['length']), names, *columns)
        return str(kept['print']), record


def _finish(index: ShardIndex, out: Path) -> None:
    """Write the list of shards, and the index, which says that all is there."""
    counts = np.diff(index.starts).tolist()
    listed = [
        dict(url=os.fsdecode(shard), nsamples=count, filesize=length)
        for shard, count, length in zip(index.shards, counts, index.lengths.tolist(), strict=True)
    ]
    facts = dict(__kind__='wids-shard-index-v1', wids_version=1, shardlist=listed)
    atomic_text(json.dumps(facts, indent=1) + '\n', out / SHARDLIST)
    index.write(out)

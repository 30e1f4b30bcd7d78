"""Where each image of a folder of shards lies: arrays that a million images share in memory.

A tar archive has no table of contents. The index is one, made when the shards are written or by a
look at the headers of shards that somebody else has written: the name of each image, and place,
length and check sum of its bytes. Any image is one read away, in any order, so that samplers,
shuffling and resuming need not know of shards.
"""

import bisect
import os
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from mmdssl.core.checkpointing import atomic_file
from mmdssl.core.wording import printable
from mmdssl.datasets.image_header import ImageDecodeError
from mmdssl.datasets.image_list import ByteStrings
from mmdssl.datasets.shards.files import ShardFiles, is_remote, shard_files
from mmdssl.datasets.shards.names import INDEX, image_of

__all__ = ['Member', 'Record', 'ShardIndex', 'ShardedImage', 'is_shards', 'members', 'shards_at']

_FORMAT = 1
_KINDS = dict(shards='u', shard_offsets='i', lengths='i', starts='i')
_KINDS |= dict(names='u', name_offsets='i', places='i', sizes='i', sums='u')


class Member(NamedTuple):
    """An image in a shard: its path, place and length in bytes, and CRC-32."""

    name: bytes
    place: int
    size: int
    sum: int


class Record(NamedTuple):
    """A shard: its file, the length of that in bytes, and the columns of its members."""

    shard: str
    length: int
    names: ByteStrings
    places: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    sums: npt.NDArray[np.uint32]

    @classmethod
    def pack(cls, shard: str, length: int, members: Sequence[Member]) -> 'Record':
        """Columns of members."""
        return cls(
            shard,
            length,
            ByteStrings.pack(member.name for member in members),
            np.array([member.place for member in members], np.int64),
            np.array([member.size for member in members], np.int64),
            np.array([member.sum for member in members], np.uint32),
        )

    def members(self) -> Iterator[Member]:
        """The members one by one."""
        columns = (column.tolist() for column in (self.places, self.sizes, self.sums))
        return (Member(*row) for row in zip(self.names, *columns, strict=True))


class ShardedImage(NamedTuple):
    """An image that is not read yet.

    Attributes:
        path: The folder of the shards, and the name of the image.
        files: Where the shard is.
        shard: Its file.
        member: What to read of it.
    """

    path: str
    files: ShardFiles
    shard: str
    member: Member

    def read(self) -> bytes:
        """The content of the image's file.

        Raises:
            ImageDecodeError: The shard is missing, cut short or damaged there.
        """
        _, place, size, check = self.member
        shard = printable(self.shard)
        try:
            data = self.files.read(self.shard, place, size)
        except FileNotFoundError as error:
            raise ImageDecodeError(self.path, f'{shard} is missing') from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise ImageDecodeError(self.path, f'{shard}: {reason}') from error
        if len(data) < size:
            raise ImageDecodeError(self.path, f'{shard} is cut short: it ends before its bytes')
        if zlib.crc32(data) != check:
            raise ImageDecodeError(self.path, f'its bytes in {shard} do not have their check sum')
        return data


@dataclass(frozen=True, eq=False)
class ShardIndex:
    """Names, places and lengths of all images, shard after shard.

    Attributes:
        files: Where the shards are.
        shards: Names of the S shards.
        lengths: Of their files in bytes (S,) int64.
        starts: The first image of each shard, and the number of images (S + 1,) int64.
        names: Paths of the N images relative to their folder.
        places: Where each begins in its shard (N,) int64, in bytes.
        sizes: Their lengths (N,) int64, in bytes.
        sums: CRC-32 of each (N,) uint32.
    """

    files: ShardFiles
    shards: ByteStrings
    lengths: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    names: ByteStrings
    places: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    sums: npt.NDArray[np.uint32]

    @classmethod
    def of(cls, files: ShardFiles, records: Sequence[Record]) -> 'ShardIndex':
        """The index of shards one after another."""
        counts = [0, *(len(record.names) for record in records)]
        return cls(
            files=files,
            shards=ByteStrings.pack(os.fsencode(record.shard) for record in records),
            lengths=np.array([record.length for record in records], np.int64),
            starts=np.cumsum(counts, dtype=np.int64),
            names=ByteStrings.join([record.names for record in records]),
            places=np.concatenate([record.places for record in records]),
            sizes=np.concatenate([record.sizes for record in records]),
            sums=np.concatenate([record.sums for record in records]),
        )

    @classmethod
    def open(cls, files: ShardFiles) -> 'ShardIndex':
        """Read the index of a folder of shards.

        Raises:
            FileNotFoundError: There is none.
            ValueError: It is damaged, or of another version.
        """
        place = f'{files.root}/{INDEX}'
        if files.size(INDEX) is None:
            raise FileNotFoundError(
                f'{printable(files.root)} has no {INDEX}: make shards of a folder of images with '
                'mmdssl shards make, or the index of shards that are there with mmdssl shards index'
            )
        try:
            with files.open(INDEX) as file, np.load(file, allow_pickle=False) as kept:
                number = int(kept['format'])
                arrays = {key: kept[key] for key in (_KINDS if number == _FORMAT else ())}
        # Whatever a damaged file makes NumPy raise (BadZipFile, EOFError, zlib.error, ...).
        except Exception as error:
            raise ValueError(
                f'{printable(place)} is no index of shards, or damaged ({error}): copy it again, '
                'or make it anew with mmdssl shards index'
            ) from error
        if number != _FORMAT:
            raise ValueError(
                f'{printable(place)} has format {number}, this version reads {_FORMAT}: make it '
                'anew with mmdssl shards index'
            )
        wrong = _misfit(arrays)
        if wrong:
            raise ValueError(
                f'{printable(place)} is damaged ({wrong}): copy it again, or make it anew with '
                'mmdssl shards index'
            )
        strings = [ByteStrings(arrays.pop(a), arrays.pop(b)) for a, b in _STRINGS]
        return cls(files, strings[0], names=strings[1], **arrays)

    def write(self, folder: str | Path) -> None:
        """Write it into a folder; it appears whole or not at all."""
        arrays = {key: getattr(self, key) for key in _KINDS if hasattr(self, key)}
        for key, offsets in _STRINGS:
            strings: ByteStrings = getattr(self, key)
            arrays |= {key: strings.buffer, offsets: strings.offsets}
        with atomic_file(Path(folder) / INDEX) as temporary, temporary.open('wb') as file:
            np.savez(file, format=np.array(_FORMAT), **arrays)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.names)

    def __reduce__(self) -> tuple:
        """A spawned worker opens the file itself: the arrays do not travel through a pipe."""
        return ShardIndex.open, (self.files,)

    def find(self, name: bytes) -> int | None:
        """Number of an image, or None."""
        row = bisect.bisect_left(self._sorted, name, key=lambda i: self.names[int(i)])
        if row == len(self) or self.names[number := int(self._sorted[row])] != name:
            return None
        return number

    @cached_property
    def _sorted(self) -> npt.NDArray[np.int32]:
        """Numbers of the images in the order of their names."""
        return np.array(sorted(range(len(self)), key=self.names.__getitem__), np.int32)

    def path(self, index: int) -> str:
        """What an image is called: the folder of the shards, and its name."""
        return os.path.join(self.files.root, os.fsdecode(self.names[index]))

    def image(self, index: int) -> ShardedImage:
        """An image, which is read when it is asked for its bytes."""
        shard = int(np.searchsorted(self.starts, index, side='right')) - 1
        name = os.fsdecode(self.shards[shard])
        place, size = int(self.places[index]), int(self.sizes[index])
        member = Member(self.names[index], place, size, int(self.sums[index]))
        return ShardedImage(self.path(index), self.files, name, member)

    def records(self) -> Iterator[Record]:
        """The shards one after another."""
        for number, shard in enumerate(self.shards):
            own = slice(int(self.starts[number]), int(self.starts[number + 1]))
            yield Record(
                os.fsdecode(shard),
                int(self.lengths[number]),
                self.names.part(own.start, own.stop),
                self.places[own],
                self.sizes[own],
                self.sums[own],
            )


_STRINGS = (('shards', 'shard_offsets'), ('names', 'name_offsets'))


def _misfit(arrays: dict[str, npt.NDArray]) -> str | None:
    """What does not fit together in an index."""
    if any(array.ndim != 1 or array.dtype.kind != _KINDS[k] for k, array in arrays.items()):
        return 'arrays of other kinds'
    shards, images = len(arrays['lengths']), len(arrays['places'])
    ends = (
        ('shard_offsets', shards, len(arrays['shards'])),
        ('name_offsets', images, len(arrays['names'])),
        ('starts', shards, images),
    )
    for key, count, last in ends:
        starts = arrays[key]
        if (
            len(starts) != count + 1
            or starts[0]
            or starts[-1] != last
            or (np.diff(starts) < 0).any()
        ):
            return key
    if not len(arrays['sizes']) == len(arrays['sums']) == images:
        return 'lengths or check sums'
    if (arrays['sizes'] < 0).any() or (arrays['places'] < 0).any():
        return 'places'
    return None


def is_shards(root: str | Path) -> bool:
    """Whether a place holds shards, and not images one by one."""
    return is_remote(root) or os.path.isfile(os.path.join(root, INDEX))


def shards_at(root: str | Path) -> ShardIndex:
    """The index of a folder of shards, kept for the next call of this process.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is damaged.
    """
    changed = 0 if is_remote(root) else os.stat(os.path.join(root, INDEX)).st_mtime_ns
    return _opened(os.fspath(root), changed)


@lru_cache(maxsize=4)
def _opened(root: str, changed: int) -> ShardIndex:
    return ShardIndex.open(shard_files(root))


def members(file: BinaryIO, endings: tuple[bytes, ...]) -> Iterator[Member]:
    """Images of a shard in their order, by its headers and bytes.

    Args:
        file: The shard, opened.
        endings: Of names that count as images, lower case.

    Raises:
        tarfile.TarError: It is no tar archive, or one that breaks off.
    """
    with tarfile.open(fileobj=file, mode='r:', errors='surrogateescape') as archive:
        for info in archive:
            name = info.name.encode('utf-8', 'surrogateescape')
            base = name.rpartition(b'/')[2]
            if not info.isreg() or base.startswith(b'.') or not base.lower().endswith(endings):
                continue
            content = archive.extractfile(info)
            assert content is not None  # it is a regular file
            data = content.read()
            if len(data) < info.size:
                raise tarfile.ReadError(f'it ends within {printable(name)}')
            yield Member(image_of(name), info.offset_data, info.size, zlib.crc32(data))
            archive.members.clear()  # type: ignore[attr-defined]  # it keeps what it has seen

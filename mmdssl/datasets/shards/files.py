"""Bytes of a shard: from a local file, or from wherever fsspec reads, with a cache on this disk.

A remote shard is fetched whole when its first image is asked for, by one process while the others
wait, and is read locally from then on. What does not fit into the cache any more is left where it
is: only the bytes of the image are read, so that shuffling over more data than the disk holds
never fetches a shard twice.
"""

import hashlib
import os
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, BinaryIO

from mmdssl.core.checkpointing import atomic_file
from mmdssl.core.locking import FileLock
from mmdssl.datasets.shards.names import INDEX

__all__ = ['LocalShards', 'RemoteShards', 'ShardFiles', 'is_remote', 'shard_files']

_TRIES = 3


def is_remote(root: str | Path) -> bool:
    """Whether a place is one for fsspec, such as ``s3://bucket/shards``."""
    return '://' in os.fspath(root)


def shard_files(
    root: str | Path, *, cache: bool | str | Path = True, cache_gb: float | None = None
) -> 'ShardFiles':
    """The files of a folder of shards.

    Args:
        root: A folder, or a place that fsspec knows.
        cache: Where copies of remote shards are kept: True: in the user's cache folder, a path:
            there, False: none are made.
        cache_gb: Most gigabytes of them. None: any number.

    Raises:
        ModuleNotFoundError: The place is a remote one and fsspec is not installed.
        ValueError: A limit that makes no sense.
    """
    if cache_gb is not None and cache_gb <= 0:
        raise ValueError(f'cache_gb must be above 0, got {cache_gb}: cache=False keeps nothing')
    if not is_remote(root):
        return LocalShards(os.fspath(root))
    return RemoteShards(os.fspath(root), cache, None if cache_gb is None else int(cache_gb * 1e9))


class ShardFiles(ABC):
    """Files by their names below one place.

    Attributes:
        root: The place.
    """

    root: str

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.root!r})'

    @abstractmethod
    def read(self, name: str, place: int, size: int) -> bytes:
        """``size`` bytes of a file from ``place`` on, fewer at its end.

        Raises:
            OSError: It cannot be read.
        """

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """The whole file, which can be sought in."""

    @abstractmethod
    def size(self, name: str) -> int | None:
        """Length of a file in bytes; None where there is none."""

    @abstractmethod
    def list(self) -> list[str]:
        """Names of all files, sorted."""


class LocalShards(ShardFiles):
    """Shards in a folder."""

    def __init__(self, root: str) -> None:
        self.root = root

    def read(self, name: str, place: int, size: int) -> bytes:
        """See the base; the file is opened each time, as an image's own would be."""
        handle = os.open(os.path.join(self.root, name), os.O_RDONLY)
        try:
            return os.pread(handle, size, place)
        finally:
            os.close(handle)

    def open(self, name: str) -> BinaryIO:
        """See the base."""
        return open(os.path.join(self.root, name), 'rb')

    def size(self, name: str) -> int | None:
        """See the base."""
        try:
            return os.stat(os.path.join(self.root, name)).st_size
        except FileNotFoundError:
            return None

    def list(self) -> list[str]:
        """See the base."""
        return sorted(os.listdir(self.root))


class RemoteShards(ShardFiles):
    """Shards that fsspec reads.

    Args:
        root: The place.
        cache: See `shard_files`.
        limit: Most bytes of copies; None: any number.
    """

    def __init__(self, root: str, cache: bool | str | Path, limit: int | None) -> None:
        self.root = root.rstrip('/')
        self.limit = limit
        self._left: set[str] = set()  # shards that do not fit
        system, path = self._system()
        try:
            index = system.checksum(f'{path}/{INDEX}')
        except FileNotFoundError:
            index = ''
        self.cache: Path | None = None
        if cache is not False:
            # Other shards under the same address are others: they have another index.
            key = hashlib.sha1(f'{self.root} {index}'.encode()).hexdigest()[:16]
            base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
            self.cache = (Path(base) / 'mmdssl' / 'shards' if cache is True else Path(cache)) / key

    def read(self, name: str, place: int, size: int) -> bytes:
        """See the base; three attempts."""
        for attempt in range(_TRIES):
            try:
                copy = self._copy(name)
                if copy is not None:
                    return LocalShards(str(copy.parent)).read(copy.name, place, size)
                system, path = self._system()
                return bytes(system.cat_file(f'{path}/{name}', start=place, end=place + size))
            except FileNotFoundError:
                raise
            # Each remote file system has errors of its own.
            except Exception as error:
                if attempt == _TRIES - 1:
                    said = f'{type(error).__name__}: {error}' if str(error) else repr(error)
                    raise OSError(f'it cannot be fetched ({said})') from error
                time.sleep(2**attempt)
        raise AssertionError('unreachable')

    def open(self, name: str) -> BinaryIO:
        """See the base."""
        system, path = self._system()
        return system.open(f'{path}/{name}', 'rb')

    def size(self, name: str) -> int | None:
        """See the base."""
        system, path = self._system()
        try:
            return int(system.size(f'{path}/{name}'))
        except FileNotFoundError:
            return None

    def list(self) -> list[str]:
        """See the base."""
        system, path = self._system()
        return sorted(one.rstrip('/').rpartition('/')[2] for one in system.ls(path, detail=False))

    def _system(self) -> tuple[Any, str]:
        """The file system, which belongs to one process, and the path in it."""
        try:
            from fsspec.core import url_to_fs
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                f'{self.root} needs fsspec, which is not installed: pip install "mmdssl[formats]"',
                name='fsspec',
            ) from None
        try:
            return url_to_fs(self.root)
        except ImportError as error:  # s3fs, gcsfs, ...: fsspec says which
            raise ModuleNotFoundError(f'{self.root}: {error}', name=error.name) from error
        except ValueError as error:
            raise ValueError(f'{self.root}: {error}') from error

    def _copy(self, name: str) -> Path | None:
        """The local copy of a file, made where there is none yet; None where it does not fit."""
        if self.cache is None or name in self._left:
            return None
        copy = self.cache / name
        if copy.exists():
            return copy
        self.cache.mkdir(parents=True, exist_ok=True)
        with FileLock(self.cache / f'{name}.lock', wait=True):
            if copy.exists():
                return copy
            system, path = self._system()
            if self.limit is not None:
                used = sum(one.stat().st_size for one in self.cache.glob('*.tar'))
                if used + int(system.size(f'{path}/{name}')) > self.limit:
                    self._left.add(name)
                    return None
            with atomic_file(copy) as temporary:
                system.get_file(f'{path}/{name}', str(temporary))
        return copy

"""A list of image paths for one image or for millions: one byte buffer, cached between runs.

A Python list of a million strings costs 100 MB and is copied into every worker as soon as
reference counts touch its pages. Here the paths lie end to end in one array with an array of
offsets; forked workers share both.

The cache of a folder's list is valid as long as no folder below it changed its modification
time, which every added, removed or renamed file does. It lives in the user's cache folder,
never among the images.

What is left out is told with the list, every time: pictures of other endings, what is no regular
file (a pipe, a device, a link to nowhere or to itself), folders that cannot be listed. Hidden files
and what systems put beside the pictures (`is_clutter`) are left out silently.
"""

import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from mmengine.logging import print_log

from mmdssl.core.wording import printable
from mmdssl.datasets.left_out import LeftOut, entry_kind, is_clutter

__all__ = ['ByteStrings', 'list_file', 'list_images']

_FORMAT = 2
# Two changes within one tick of a file system's clock look like one, so a folder that changed this
# shortly before the scan proves nothing (the same guard that version control systems use).
_CLOCK_TICK_NS = 2_000_000_000


class ByteStrings(Sequence[bytes]):
    """An immutable sequence of byte strings in two arrays.

    Args:
        buffer: All strings end to end (total length,), uint8.
        offsets: Start of each string and the end of the last one (N + 1,), int64.
    """

    def __init__(self, buffer: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> None:
        self.buffer = buffer
        self.offsets = offsets

    @classmethod
    def pack(cls, strings: Iterable[bytes]) -> 'ByteStrings':
        """Copy strings into arrays; the iterable is consumed once and not kept."""
        buffer, lengths = bytearray(), [0]
        for string in strings:
            buffer += string
            lengths.append(len(string))
        offsets = np.cumsum(np.asarray(lengths, np.int64))
        return cls(np.frombuffer(bytes(buffer), np.uint8), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> bytes:  # type: ignore[override]
        if not -len(self) <= index < len(self):
            raise IndexError(f'index {index} is out of range for {len(self)} strings')
        index %= len(self)
        return self.buffer[self.offsets[index] : self.offsets[index + 1]].tobytes()

    @classmethod
    def join(cls, parts: Sequence['ByteStrings']) -> 'ByteStrings':
        """Several sequences one after another."""
        lengths = [np.diff(part.offsets) for part in parts]
        offsets = np.cumsum(np.concatenate([[0], *lengths]), dtype=np.int64)
        return cls(np.concatenate([np.zeros(0, np.uint8), *(p.buffer for p in parts)]), offsets)

    def part(self, start: int, stop: int) -> 'ByteStrings':
        """The strings from ``start`` to ``stop``, nothing copied but their offsets."""
        offsets = self.offsets[start : stop + 1]
        return ByteStrings(self.buffer[offsets[0] : offsets[-1]], offsets - offsets[0])

    def equal(self, other: 'ByteStrings') -> bool:
        """Whether two sequences hold the same."""
        return np.array_equal(self.offsets, other.offsets) and np.array_equal(
            self.buffer, other.buffer
        )

    def take(self, indices: npt.NDArray[np.int64]) -> 'ByteStrings':
        """The strings at ``indices`` (M,), in that order."""
        return ByteStrings.pack(self[int(i)] for i in indices)


def list_images(
    root: str | Path,
    extensions: Sequence[str],
    cache: bool | str | Path = True,
) -> ByteStrings:
    """Find the image files below a folder.

    Hidden files and folders (names with a leading dot) and clutter are left out; links to folders
    are followed, each folder once. The log tells what else is left out.

    Args:
        root: The folder.
        extensions: File name endings, any case, such as ``('.jpg', '.png')``.
        cache: True: keep the list in ``$XDG_CACHE_HOME/mmdssl`` (``~/.cache/mmdssl``); a path: in
            that file; False: scan every time. Where the file cannot be written, the list is not
            kept and the log says so.

    Returns:
        Paths relative to ``root``, file-system encoded, in an order that depends on names only:
        the files of a folder, sorted, then its sub-folders, sorted.

    Raises:
        FileNotFoundError: There is no such folder.
        NotADirectoryError: ``root`` is a file.
        PermissionError: ``root`` cannot be listed; sub-folders that cannot are left out.
    """
    root = Path(root)
    if not root.exists():
        raise FileNotFoundError(f'there is no folder {root}: check data_root')
    if not root.is_dir():
        raise NotADirectoryError(
            f'{root} is a file: data_root must be a folder of images (an archive is unpacked first)'
        )
    endings = _endings(extensions)
    key = _key(root, endings)
    file = _cache_file(key, cache)
    if file is not None:
        kept = _load(root, file, key)
        if kept is not None:
            return kept
    start = time.time()
    paths, folders, times, left_out = _scan(os.fsencode(root), endings)
    if file is not None:
        _save(file, key, paths, folders, times, left_out)
    _tell(root, paths, left_out, f' ({time.time() - start:.1f} s)')
    return paths


def list_file(
    root: str | Path, extensions: Sequence[str], cache: bool | str | Path = True
) -> Path | None:
    """Where `list_images` keeps the list of these arguments; None: nowhere."""
    return _cache_file(_key(Path(root), _endings(extensions)), cache)


def _endings(extensions: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(sorted(os.fsencode(e.lower()) for e in extensions))


def _tell(root: Path, paths: ByteStrings, left_out: str, time_taken: str = '') -> None:
    """What was found, and what was left out, which is a warning."""
    text = f'{len(paths)} images found in {printable(str(root))}{time_taken}'
    if left_out:
        print_log(f'{text}; {left_out}', 'current', logging.WARNING)
    elif time_taken:
        print_log(text, 'current')


def _scan(
    root: bytes, endings: tuple[bytes, ...]
) -> tuple[ByteStrings, ByteStrings, npt.NDArray[np.int64], str]:
    """Walk the tree once: image paths, folders, their modification times (ns), what is left out."""
    left_out = LeftOut()
    recent = time.time_ns() - _CLOCK_TICK_NS
    files, file_lengths = bytearray(), [0]
    folders: list[bytes] = []
    times: list[int] = []
    seen: set[tuple[int, int]] = set()
    stack = [b'']
    while stack:
        folder = stack.pop()
        absolute = os.path.join(root, folder)
        status = os.stat(absolute)
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.append(folder)
        times.append(status.st_mtime_ns if status.st_mtime_ns < recent else -1)
        names, below = [], []
        prefix = folder + b'/' if folder else b''
        try:
            entries = list(os.scandir(absolute))
        except PermissionError:
            if not folder:
                raise
            left_out.folder(folder)
            times[-1] = -1  # whoever may list it finds more: no list to keep
            continue
        for entry in entries:
            name = entry.name
            if is_clutter(name):
                continue
            kind = entry_kind(entry)
            if kind == 'folder':
                below.append(name)
            elif not name.lower().endswith(endings):
                left_out.other_ending(prefix + name, endings)
            elif kind == 'file':
                names.append(name)
            else:
                left_out.special(prefix + name, kind)
        for name in sorted(names):
            files += prefix + name
            file_lengths.append(len(prefix) + len(name))
        stack.extend(prefix + name for name in sorted(below, reverse=True))
    offsets = np.cumsum(np.asarray(file_lengths, np.int64))
    images = ByteStrings(np.frombuffer(bytes(files), np.uint8), offsets)
    return images, ByteStrings.pack(folders), np.asarray(times, np.int64), left_out.sentence()


def _key(root: Path, endings: tuple[bytes, ...]) -> str:
    """What a list belongs to: this format, this folder, these endings."""
    parts = [str(_FORMAT).encode(), os.fsencode(root.resolve()), *endings]
    return hashlib.sha1(b'\0'.join(parts)).hexdigest()


def _cache_file(key: str, cache: bool | str | Path) -> Path | None:
    """Where the list of that key is kept."""
    if cache is False:
        return None
    if cache is not True:
        return Path(cache)
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(base) / 'mmdssl' / 'image_lists' / f'{key}.npz'


def _load(root: Path, file: Path, key: str) -> ByteStrings | None:
    """The kept list, or None where there is none for this key or a folder changed since."""
    if not file.exists():
        return None
    try:
        with np.load(file, allow_pickle=False) as kept:
            if str(kept['key']) != key:
                return None
            paths = ByteStrings(kept['paths'], kept['path_offsets'])
            folders = ByteStrings(kept['folders'], kept['folder_offsets'])
            times = kept['times'].tolist()
            left_out = str(kept['left_out'])
    # Whatever a damaged file makes NumPy raise (MemoryError, EOFError, zlib.error, ...).
    except Exception as error:
        print_log(f'the image list {file} is damaged and made anew: {error}', 'current')
        return None
    base = os.fsencode(root)
    try:
        for folder, modified in zip(folders, times, strict=True):
            if os.stat(os.path.join(base, folder)).st_mtime_ns != modified:
                return None
    except OSError:
        return None
    _tell(root, paths, left_out)
    return paths


def _save(
    file: Path,
    key: str,
    paths: ByteStrings,
    folders: ByteStrings,
    times: npt.NDArray[np.int64],
    left_out: str,
) -> None:
    """Write the list under a temporary name and rename it; several processes may do so at once."""
    name = ''
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, suffix='.npz', delete=False) as temporary:
            name = temporary.name
            np.savez(
                temporary,
                key=np.asarray(key),
                paths=paths.buffer,
                path_offsets=paths.offsets,
                folders=folders.buffer,
                folder_offsets=folders.offsets,
                times=times,
                left_out=np.asarray(left_out),
            )
        os.replace(name, file)
    except OSError as error:
        if name:
            Path(name).unlink(missing_ok=True)
        print_log(f'the image list is not kept for the next run: {error}', 'current')

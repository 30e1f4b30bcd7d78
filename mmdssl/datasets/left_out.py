"""What stands in a folder of images and is no image of it: clutter, special files, other endings.

One rule for all data sets that list folders. Only regular files count as images: a pipe would
block its reader for ever, a device never end, and a link to itself cannot be followed.
"""

import os
import stat
from collections.abc import Sequence
from typing import Literal

from mmdssl.core.wording import listed, printable
from mmdssl.datasets.picture_plugins import PACKAGES

__all__ = ['LeftOut', 'entry_kind', 'is_clutter']

# Folders that systems make beside pictures: thumbnails (Synology, QNAP, Picasa), resource forks.
_CLUTTER = frozenset((b'@eaDir', b'@Recycle', b'__MACOSX', b'$RECYCLE.BIN'))
# What people call pictures and a reader of other endings passes over.
_PICTURES = (
    b'.jpg', b'.jpeg', b'.jpe', b'.jfif', b'.png', b'.webp', b'.bmp', b'.tif', b'.tiff', b'.gif',
    b'.heic', b'.heif', b'.avif', b'.jxl', b'.jp2', b'.j2k', b'.jpf', b'.ppm', b'.pgm', b'.tga',
    b'.psd', b'.dng', b'.cr2', b'.cr3', b'.nef', b'.arw', b'.orf', b'.rw2', b'.raf', b'.svg',
)  # fmt: skip
_SHOWN = 3

Kind = Literal['file', 'folder', 'no regular file', 'a link that leads nowhere']


def is_clutter(name: bytes) -> bool:
    """Whether a file or folder is hidden (``._x.jpg``, ``.DS_Store``) or made by a system."""
    return name.startswith(b'.') or name in _CLUTTER


def entry_kind(entry: 'os.DirEntry[bytes]') -> Kind:
    """What an entry of a folder is, links followed."""
    try:
        # Most entries need no system call: the folder says what they are.
        if entry.is_file(follow_symlinks=False):
            return 'file'
        mode = entry.stat().st_mode
    except OSError:  # a link to nothing or to itself; a name gone since the folder was read
        return 'a link that leads nowhere'
    if stat.S_ISDIR(mode):
        return 'folder'
    return 'file' if stat.S_ISREG(mode) else 'no regular file'


class LeftOut:
    """Counts what a search passes over, and remembers the first names."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._names: dict[str, list[str]] = {}

    def __bool__(self) -> bool:
        return bool(self._counts)

    def folder(self, name: bytes) -> None:
        """A folder that cannot be listed."""
        self._add('folders that may not be read', name)

    def special(self, name: bytes, kind: str) -> None:
        """An entry named like an image that is no regular file."""
        plural = {'no regular file': 'pipes, devices or sockets'}.get(
            kind, 'links that lead nowhere'
        )
        self._add(plural, name)

    def other_ending(self, name: bytes, endings: Sequence[bytes]) -> None:
        """A file of another ending; only pictures are counted."""
        ending = os.path.splitext(name)[1].lower()
        if ending in _PICTURES and ending not in endings:
            self._add(f'pictures ending in {ending.decode()}', name)

    def _add(self, kind: str, name: bytes) -> None:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        names = self._names.setdefault(kind, [])
        if len(names) <= _SHOWN:
            names.append(printable(name))

    def sentence(self, setting: str = 'extensions') -> str:
        """``left out: 9 pictures ending in .avif (a.avif, ...)`` and what to do; '' for nothing.

        Args:
            setting: Which one names the endings that count.
        """
        if not self._counts:
            return ''
        parts = (
            f'{count} {kind} ({listed(self._names[kind], _SHOWN)})'
            for kind, count in sorted(self._counts.items())
        )
        pictures = any(kind.startswith('pictures') for kind in self._counts)
        remedy = f': add the ending to {setting} where Pillow reads it, or convert to JPEG or PNG'
        wanted = {
            package
            for end, package in PACKAGES.items()
            if f'pictures ending in {end}' in self._counts
        }
        if wanted:
            remedy += f' (pip install {" ".join(sorted(wanted))} makes Pillow read some)'
        return f'left out: {", ".join(parts)}' + (remedy if pictures else '')

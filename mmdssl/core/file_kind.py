"""What a file is that was given as another: told by its content, never by its name.

Downloads that failed leave web pages, clones without Git LFS leave pointers, crashes leave empty
or zeroed files. Each has a name of its own here and a next step, so that nobody has to guess from
an unpickling error.
"""

import re
import tarfile
import zipfile
from html import unescape
from pathlib import Path

__all__ = ['foreign_kind', 'is_safetensors', 'is_zip', 'known_kind', 'web_page', 'zip_damage']

_HEAD = 4096  # bytes that are looked at
# How a file of torch.save begins that is no zip archive: the pickled magic number.
_LEGACY = b'\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'
_UNPACK = 'unpack it and give the file inside'
_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (
        b'version https://git-lfs.github.com',
        'a Git LFS pointer, not the file it stands for: fetch that with `git lfs pull`',
    ),
    (
        b'/annex/objects/',
        'a git-annex pointer, not the file it stands for: fetch that with `git annex get`',
    ),
    (b'\x89PNG', 'a PNG image'),
    (b'\xff\xd8\xff', 'a JPEG image'),
    (b'%PDF', 'a PDF document'),
    (b'PK\x03\x04', f'a zip archive: {_UNPACK}'),
    (b'\x1f\x8b', f'a gzip archive: {_UNPACK}'),
    (b'BZh', f'a bzip2 archive: {_UNPACK}'),
    (b'\xfd7zXZ', f'an xz archive: {_UNPACK}'),
    (b'7z\xbc\xaf', f'a 7z archive: {_UNPACK}'),
    (b'(\xb5/\xfd', f'a zstd archive: {_UNPACK}'),
    (b'Rar!', f'a rar archive: {_UNPACK}'),
    (b'\x89HDF', 'an HDF5 file, as Keras writes: this package reads files of torch.save'),
    (b'\x93NUMPY', 'an array of NumPy'),
)


def foreign_kind(path: Path) -> str | None:
    """What a file is that is certainly no checkpoint.

    Args:
        path: A regular file.

    Returns:
        E.g. ``'a Git LFS pointer, ...: fetch that with ...'``; None where the content may be a
        checkpoint (of ``torch.save`` in either format, or safetensors), whole or not.

    Raises:
        OSError: If the file cannot be read.
    """
    if path.stat().st_size == 0:
        return 'an empty file: copy or download it again'
    with path.open('rb') as file:
        head = file.read(_HEAD)
    if head.startswith(b'PK'):
        return _foreign_zip(path)
    if head.startswith(_LEGACY) or is_safetensors(path):
        return None
    kind = known_kind(head)
    if kind is not None:
        return kind
    if not head.strip(b'\0'):
        return 'a file of zero bytes, as a crash of the machine leaves: use another copy'
    if head.startswith(b'\x80') and len(head) > 1 and head[1] <= 5:
        return None if _LEGACY.startswith(head) else 'a Python pickle, not a file of torch.save'
    text = _as_text(head)
    if text is not None:
        return _kind_of_text(text)
    if head[257:262] == b'ustar' and tarfile.is_tarfile(path):
        return f'a tar archive: {_UNPACK}'
    return f'a binary file of an unknown kind (its first bytes are {head[:8].hex(" ")})'


def known_kind(head: bytes) -> str | None:
    """What a file with these first bytes is, and what to do; None where they say nothing.

    Pointers of version control, archives, pictures and arrays, which all begin in their own way.
    """
    return next((kind for beginning, kind in _BEGINNINGS if head.startswith(beginning)), None)


def web_page(text: str) -> str | None:
    """The same for a text that begins a web page."""
    low = text.lstrip().lower()
    if not (low.startswith('<') and ('<html' in low or low.startswith('<!doctype html'))):
        return None
    title = re.search(r'<title[^>]*>\s*([^<]{1,60})', text, re.IGNORECASE)
    named = f" ('{unescape(title.group(1)).strip()}')" if title else ''
    return (
        f'a web page{named}, as a log-in or an error gives in place of a download: fetch the '
        'file itself, e.g. with a browser'
    )


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do: length of a JSON table, then the table."""
    with path.open('rb') as file:
        head = file.read(9)
    length = int.from_bytes(head[:8], 'little')
    return len(head) == 9 and head[8:] == b'{' and length < 10**9


def is_zip(path: Path) -> bool:
    """Whether a file begins as a zip archive, which files of ``torch.save`` are."""
    with path.open('rb') as file:
        return file.read(2) == b'PK'


def zip_damage(path: Path) -> str | None:
    """What is wrong with a zip archive; None if every entry has its check sum, or it is none.

    Torch itself compares no check sums: a changed byte would become a changed weight. Costs one
    pass over the file, about 0.3 s per GB.
    """
    if not is_zip(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except Exception as error:  # whatever a damaged table of contents leads to
        if isinstance(error, zipfile.BadZipFile) and 'CRC' not in str(error):
            return 'it is cut off or damaged, its table of contents is not readable'
        return f'it is damaged ({type(error).__name__}: {error})'
    return None if broken is None else f'it is damaged, {broken} does not have its check sum'


def _foreign_zip(path: Path) -> str | None:
    """What an intact zip archive is that is no checkpoint."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # a damaged one may have been a checkpoint: zip_damage tells
        return None
    inner = {name.partition('/')[2] for name in names}
    if 'constants.pkl' in inner or any(name.startswith('code/') for name in inner):
        return 'a TorchScript program, not weights: save its state_dict() with torch.save'
    if 'data.pkl' in inner:
        return None
    if names and all(name.endswith('.npy') for name in names):
        return 'an archive of NumPy arrays (npz)'
    shown = ', '.join(names[:3]) or 'nothing'
    return f'a zip archive with {shown}: {_UNPACK}'


def _as_text(head: bytes) -> str | None:
    """The beginning of a file as text, or None if it is none."""
    encoding = 'utf-16' if head[:2] in (b'\xff\xfe', b'\xfe\xff') else 'utf-8-sig'
    try:
        text = head.decode(encoding)
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # a character cut off by the end of the look is fine
            return None
        text = head[: error.start].decode(encoding)
    return text if all(one.isprintable() or one.isspace() for one in text) else None


def _kind_of_text(text: str) -> str:
    page = web_page(text)
    if page is not None:
        return page
    low = text.lstrip()
    if low.startswith('<'):
        return f'an XML text ({_beginning(text)}), as a server gives in place of a download'
    if low.startswith(('{', '[')):
        return f'a JSON text ({_beginning(text)})'
    return f'a text file ({_beginning(text)})'


def _beginning(text: str) -> str:
    return f'it begins with {" ".join(text.split())[:40]!r}'

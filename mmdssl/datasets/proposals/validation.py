"""Does a proposals file belong to a folder of images? Missing, superfluous and changed ones named.

Only the beginnings and ends of the files are read: thousands of images a second.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmdssl.core.wording import listed, printable
from mmdssl.datasets.channels import CHANNEL_EXTENSIONS, FalseColours
from mmdssl.datasets.decode import IMAGE_EXTENSIONS
from mmdssl.datasets.image_header import picture_shape
from mmdssl.datasets.image_sources import image_source, list_names
from mmdssl.datasets.proposals.part_files import open_proposals
from mmdssl.datasets.proposals.progress import show_progress

__all__ = ['validate_proposals']


def validate_proposals(
    images: str | Path,
    path: str | Path,
    *,
    expect: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> list[str]:
    """Compare a proposals file with a folder.

    Args:
        images: The folder.
        path: The proposals file, or the folder of one file a part.
        expect: Parameters it must have been made with.
        progress: Show a progress bar.

    Returns:
        One sentence per kind of trouble, naming the first images; none where all is well.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: The file itself is bad; see `ProposalStore.open`.
    """
    store = open_proposals(path, expect=expect)
    pictures = FalseColours.of(store.parameters)
    names = list_names(images, CHANNEL_EXTENSIONS if pictures else IMAGE_EXTENSIONS)
    missing, other, exchanged = [], [], []
    for name in show_progress(names, 'validating', len(names), shown=progress):
        text = name.decode('utf-8', 'surrogateescape')
        row = store.find(text)
        if row is None:
            missing.append(printable(name))
            continue
        exif = store.parameters.get('exif', True)
        source = image_source(images, name)
        shape = pictures.shape(source) if pictures else picture_shape(source, exif=exif)
        if shape != store.shape(row):
            was = ' x '.join(map(str, store.shape(row)))
            now = 'unreadable' if shape is None else ' x '.join(map(str, shape))
            other.append(f'{printable(name)} (was {was}, is {now})')
        elif not store.made_of(row, source):
            exchanged.append(printable(name))
    present = set(names)
    extra = [printable(name) for name in store.names if name not in present]
    found = dict(missing=missing, other=other, exchanged=exchanged, extra=extra)
    return list(_sentences(store.path, **found))


def _sentences(
    path: Path, *, missing: list[str], other: list[str], exchanged: list[str], extra: list[str]
) -> Iterator[str]:
    if missing:
        yield (
            f'{len(missing)} images are not in {path}: {listed(missing)}; the command that made '
            'the file adds them'
        )
    if other:
        yield (
            f'{len(other)} images do not have the height x width that was searched: '
            f'{listed(other)}; they were changed, or {path} belongs to another folder: make it anew'
        )
    if exchanged:
        yield (
            f'{len(exchanged)} images have other contents than those that were searched, at the '
            f'same size: {listed(exchanged)}; they were changed, or {path} belongs to another '
            'folder: the command that made the file searches them anew'
        )
    if extra:
        yield (
            f'{len(extra)} images of {path} are not in the folder: {listed(extra)}; that does no '
            'harm unless the folder is the wrong one'
        )

"""Proposals in one file a part: a folder of files, which together are one store.

Files of many machines need not be merged: a look-up asks each, and a row is counted through all of
them. The names say how many there are, so that a missing one is noticed.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mmdssl.core.wording import listed
from mmdssl.datasets.image_header import Source
from mmdssl.datasets.image_list import ByteStrings
from mmdssl.datasets.proposals.store import Entry, ProposalStore

__all__ = ['PartedStore', 'open_proposals', 'part_file']


def part_file(folder: str | Path, part: int, parts: int) -> Path:
    """The file of a part in its folder."""
    return Path(folder) / f'{part:05d}-of-{parts:05d}.npz'


def open_proposals(
    path: str | Path, *, expect: Mapping[str, Any] | None = None
) -> 'ProposalStore | PartedStore':
    """A proposals file, or a folder with one a part.

    Args:
        path: The file or the folder.
        expect: See `ProposalStore.open`.

    Raises:
        FileNotFoundError: There is no such file, or a part is missing.
        ValueError: A file is bad, or the parts do not belong together.
    """
    path = Path(path)
    if not path.is_dir():
        return ProposalStore.open(path, expect=expect)
    files = sorted(path.glob('*-of-*.npz'))
    counts = {int(one.stem.rpartition('-')[2]) for one in files if _NAME.fullmatch(one.name)}
    if len(counts) != 1:
        what = f'parts of {sorted(counts)} at a time' if counts else 'no part of proposals'
        raise ValueError(f'{path} holds {what}: make them anew with mmdssl proposals --separate')
    (count,) = counts
    missing = [f for part in range(count) if not (f := part_file(path, part, count)).is_file()]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {count} parts of the proposals {path} are missing '
            f'({listed((one.name for one in missing), 3)}): the command that made the others '
            'makes them'
        )
    return PartedStore(path, [ProposalStore.open(one, expect=expect) for one in files])


_NAME = re.compile(r'\d{5}-of-\d{5}\.npz')


class PartedStore:
    """Several stores as one; see `ProposalStore` for what they share.

    Args:
        path: Their folder.
        stores: One a part.
    """

    def __init__(self, path: Path, stores: list[ProposalStore]) -> None:
        self.path = path
        self.stores = stores
        self._starts = np.cumsum([0, *map(len, stores)])

    @property
    def parameters(self) -> dict[str, Any]:
        """What all were made with."""
        return self.stores[0].parameters

    @property
    def names(self) -> ByteStrings:
        """All images, part after part."""
        return ByteStrings.join([store.names for store in self.stores])

    @property
    def num_boxes(self) -> int:
        """Of all parts."""
        return sum(store.num_boxes for store in self.stores)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def find(self, name: str) -> int | None:
        """Row of an image, or None."""
        for start, store in zip(self._starts.tolist(), self.stores, strict=False):
            row = store.find(name)
            if row is not None:
                return start + row
        return None

    def __contains__(self, name: str) -> bool:
        return self.find(name) is not None

    def entry(self, row: int) -> Entry:
        """What is stored about the image in ``row``."""
        store, own = self._at(row)
        return store.entry(own)

    def shape(self, row: int) -> tuple[int, int]:
        """Height and width of the picture in ``row``."""
        store, own = self._at(row)
        return store.shape(own)

    def made_of(self, row: int, path: Source) -> bool:
        """Whether ``path`` is the picture with the proposals in ``row``."""
        store, own = self._at(row)
        return store.made_of(own, path)

    def boxes(self, image: str | int, *, unique: bool = False) -> npt.NDArray[np.float32]:
        """Proposals of an image by its name or row."""
        row = self.find(image) if isinstance(image, str) else image
        if row is None:
            raise KeyError(f'{self.path} holds no image {image}')
        store, own = self._at(row)
        return store.boxes(own, unique=unique)

    def _at(self, row: int) -> tuple[ProposalStore, int]:
        part = int(np.searchsorted(self._starts, row, side='right')) - 1
        return self.stores[part], row - int(self._starts[part])

"""One file with the proposals of a data set: plain arrays, checked on opening, small in memory.

A ``.npz`` without pickles (``train2017`` of COCO: a few ten MB). It holds, images sorted by name,

=========== ============================== =======================================================
``names``   (bytes,) uint8                 names end to end, UTF-8 with ``/`` between folders
``starts``  (N + 1,) int64                 where each name begins
``shapes``  (N, 2) int32                   height and width of the picture that was searched
``rules``   (N,) uint8                     which `Rule` gave the proposals
``offsets`` (N + 1,) int64                 where the boxes of each image begin
``boxes``   (B, 4) int16 or int32          x, y, w, h in pixels; w = largest x - smallest x
``counts``  (B,) unsigned                  how often the search gave the box, at least once
``prints``  (N,) uint64                    `fingerprint` of the file of each image
``facts``   JSON                           format, parameters, versions of the producer, ``sha256``
=========== ============================== =======================================================

``sha256`` covers everything else. Who made the boxes, and how, stands in the parameters only: the
format is the same for every producer. In memory it stays these few arrays, which forked loader
workers share; there is no Python object per image.
"""

import bisect
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mmdssl.core.checkpointing import atomic_file
from mmdssl.core.wording import printable
from mmdssl.datasets.image_header import Source
from mmdssl.datasets.image_list import ByteStrings
from mmdssl.datasets.proposals.facts import FORMAT, check_format, check_parameters, in_todays_words
from mmdssl.datasets.proposals.filters import whole_image
from mmdssl.datasets.proposals.fingerprint import UNKNOWN, fingerprint
from mmdssl.datasets.proposals.reading import ARRAYS, check_arrays, read_arrays

__all__ = ['Entry', 'ProposalStore', 'write_store']


class Entry(NamedTuple):
    """The proposals of one image.

    Attributes:
        name: Path of the image relative to its folder, UTF-8, ``/`` between folders.
        shape: Height and width.
        rule: The `Rule` that gave the boxes.
        boxes: (M, 4) integers x, y, w, h, each once; none under ``Rule.WHOLE_IMAGE``.
        counts: (M,) integers, how often the search gave each box.
        print: `fingerprint` of the file that was searched.
    """

    name: bytes
    shape: tuple[int, int]
    rule: int
    boxes: npt.NDArray
    counts: npt.NDArray = np.zeros(0, np.uint8)
    print: int = UNKNOWN


class ProposalStore:
    """The proposals of a data set; make one by `ProposalStore.open`."""

    def __init__(
        self, path: Path, arrays: Mapping[str, npt.NDArray], facts: dict[str, Any]
    ) -> None:
        self.path = path
        self.facts = facts
        self.names = ByteStrings(arrays['names'], arrays['starts'])
        self.shapes = arrays['shapes']
        self.rules = arrays['rules']
        self._offsets = arrays['offsets']
        self._boxes = arrays['boxes']
        self._counts = arrays['counts']
        self._prints = arrays['prints']

    @classmethod
    def open(cls, path: str | Path, *, expect: Mapping[str, Any] | None = None) -> 'ProposalStore':
        """Read a file and check that it is whole and what was asked for.

        Args:
            path: The file.
            expect: Parameters the proposals must have been made with, such as
                ``dict(producer='numba', scale=300)``; others are not looked at.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is no proposals file, it is damaged, it was made with other parameters,
                or a box lies outside its picture.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(
                f'there is no proposals file {path}: make it with `mmdssl proposals IMAGES {path}`'
            )
        arrays, facts = read_arrays(path)
        check_format(path, facts)
        if facts.get('sha256') != _digest(arrays, facts):
            raise ValueError(
                f'{path} is damaged (its content does not have the hash it states): copy it again '
                'or make it anew'
            )
        check_arrays(path, arrays)
        store = cls(path, arrays, facts)
        if expect is not None:
            check_parameters(path, store.parameters, expect)
        store._check_boxes()
        return store

    @property
    def parameters(self) -> dict[str, Any]:
        """What the proposals were made with: producer, its settings, the filter's numbers."""
        return in_todays_words(self.facts['parameters'])

    def __len__(self) -> int:
        """Number of images."""
        return len(self.names)

    @property
    def num_boxes(self) -> int:
        """Number of different boxes; an image without any has the whole picture beside them."""
        return len(self._boxes)

    def find(self, name: str) -> int | None:
        """Row of an image, or None.

        Args:
            name: Its path relative to the searched folder, with ``/`` between folders.
        """
        key = name.encode('utf-8', 'surrogateescape')
        row = bisect.bisect_left(self.names, key)
        return row if row < len(self.names) and self.names[row] == key else None

    def __contains__(self, name: str) -> bool:
        return self.find(name) is not None

    def entry(self, row: int) -> Entry:
        """What is stored about the image in ``row``."""
        own = slice(self._offsets[row], self._offsets[row + 1])
        boxes, counts = self._boxes[own], self._counts[own]
        rule, made_of = int(self.rules[row]), int(self._prints[row])
        return Entry(self.names[row], self.shape(row), rule, boxes, counts, made_of)

    def shape(self, row: int) -> tuple[int, int]:
        """Height and width of the picture in ``row`` when it was searched."""
        return int(self.shapes[row, 0]), int(self.shapes[row, 1])

    def made_of(self, row: int, path: Source) -> bool:
        """Whether ``path`` is the picture with the proposals in ``row``, as far as can be known."""
        kept = int(self._prints[row])
        return UNKNOWN in (kept, found := fingerprint(path)) or kept == found

    def boxes(self, image: str | int, *, unique: bool = False) -> npt.NDArray[np.float32]:
        """Proposals of an image as SoCo uses them.

        Args:
            image: Its name or its row.
            unique: Each box once, in place of as often as the search gave it.

        Returns:
            (n, 4) float32 x1, y1, x2, y2 in pixels of the picture, with x2 = x1 + w - 1 and
            y2 = y1 + h - 1; at least one: the whole picture where nothing was found.

        Raises:
            KeyError: The file does not hold the image.
        """
        row = self.find(image) if isinstance(image, str) else image
        if row is None:
            raise KeyError(f'{self.path} holds no image {image}')
        entry = self.entry(row)
        boxes = entry.boxes if unique else np.repeat(entry.boxes, entry.counts, axis=0)
        if not len(boxes):
            boxes = whole_image(*self.shape(row))
        corners = boxes.astype(np.float32)
        corners[:, 2:] += corners[:, :2] - 1
        return corners

    def _check_boxes(self) -> None:
        """Refuse boxes without a count, turned inside out, or beyond their picture."""
        if len(self._counts) != len(self._boxes) or self._counts.min(initial=1) < 1:
            raise ValueError(
                f'{self.path} does not say of each of its {len(self._boxes)} boxes how often the '
                'search gave it: make the file anew'
            )
        owner = np.repeat(np.arange(len(self)), np.diff(self._offsets))
        low, high = self._boxes[:, :2], self._boxes[:, :2].astype(np.int32) + self._boxes[:, 2:]
        limit = self.shapes[owner][:, ::-1]  # (width, height)
        wrong = ((low < 0) | (self._boxes[:, 2:] < 1) | (high > limit)).any(axis=1)
        if wrong.any():
            first = int(wrong.argmax())
            row = int(owner[first])
            raise ValueError(
                f'{int(wrong.sum())} boxes of {self.path} lie outside their pictures, the first '
                f'x y w h {self._boxes[first].tolist()} of {printable(self.names[row])} (height '
                f'{self.shapes[row, 0]}, width {self.shapes[row, 1]}): make the file anew'
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """A spawned worker opens the file itself: the arrays do not travel through a pipe."""
        return _reopen, (self.path,)


def write_store(
    path: str | Path,
    entries: Iterable[Entry],
    *,
    parameters: Mapping[str, Any],
    versions: Mapping[str, str] | None = None,
) -> None:
    """Write a proposals file; it appears whole or not at all.

    Args:
        path: The file, replaced where it exists.
        entries: One per image, in any order.
        parameters: What the boxes were made with: numbers, strings, lists of these.
        versions: Versions of the software that made them.

    Raises:
        ValueError: Two entries have the same name, or one has not a count for each box.
    """
    entries = sorted(entries, key=lambda entry: entry.name)
    names = ByteStrings.pack(entry.name for entry in entries)
    for i in range(1, len(entries)):
        if entries[i - 1].name == entries[i].name:
            raise ValueError(f'two entries of the image {printable(entries[i].name)}')
    for entry in entries:
        if len(entry.counts) != len(entry.boxes):
            raise ValueError(
                f'the entry of {printable(entry.name)} has {len(entry.boxes)} boxes and '
                f'{len(entry.counts)} counts: one for each is needed'
            )
    sizes = [0, *(len(entry.boxes) for entry in entries)]
    shapes = np.array([entry.shape for entry in entries], np.int32).reshape(-1, 2)
    # 16 bits hold pictures up to 32767 pixels wide: half the size for nearly everybody.
    kind = np.int16 if shapes.max(initial=0) <= np.iinfo(np.int16).max else np.int32
    boxes = np.concatenate([np.zeros((0, 4), kind), *(e.boxes.astype(kind) for e in entries)])
    counts = np.concatenate([np.zeros(0, np.int64), *(e.counts.astype(np.int64) for e in entries)])
    arrays = dict(
        names=names.buffer,
        starts=names.offsets,
        shapes=shapes,
        rules=np.array([entry.rule for entry in entries], np.uint8),
        prints=np.array([entry.print for entry in entries], np.uint64),
        offsets=np.cumsum(sizes, dtype=np.int64),
        boxes=boxes,
        counts=counts.astype(np.min_scalar_type(counts.max(initial=0))),  # mostly one byte each
    )
    facts = dict(
        format=FORMAT,
        images=len(entries),
        boxes=len(boxes),
        parameters=dict(parameters),
        versions=dict(versions or {}),
    )
    facts['sha256'] = _digest(arrays, facts)
    text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    with atomic_file(path) as temporary, temporary.open('wb') as file:
        np.savez_compressed(file, facts=text, **arrays)  # type: ignore[arg-type]


def _reopen(path: Path) -> ProposalStore:
    return ProposalStore.open(path)


def _digest(arrays: Mapping[str, npt.NDArray], facts: Mapping[str, Any]) -> str:
    """SHA-256 over all arrays and all facts but itself."""
    rest = {key: value for key, value in facts.items() if key != 'sha256'}
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode())
    for key in ARRAYS:
        array = np.ascontiguousarray(arrays[key])
        digest.update(f'{key}{array.dtype.str}{array.shape}'.encode())
        digest.update(array.data)
    return digest.hexdigest()

"""A COCO json file, read and checked: every complaint names the file, the entry and what to do.

What is unambiguous is accepted (whole numbers written as 3.0 or "3" where a size is meant, flags
of any type that says yes or no); what would move objects to other images or classes is refused:
ids that occur twice, ids that are numbers here and texts there, classes of one name.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mmdssl.core.text_files import read_json
from mmdssl.core.wording import printable
from mmdssl.datasets.coco_columns import (
    Id,
    check_each,
    check_twice,
    column,
    ids_of,
    named,
    references,
    short,
    whole,
)
from mmdssl.datasets.image_header import max_pixels

__all__ = ['CocoFile', 'parse_coco', 'read_coco']


@dataclass(frozen=True)
class CocoFile:
    """The content of a file; objects are the annotations that are no crowds.

    Attributes:
        path: The file.
        classes: Names by label, in the order of category ids.
        ids: Of the images.
        names: File names of the images.
        shapes: (I, 2) int64, height and width of the images.
        annotations: The annotations of the objects.
        places: (N,) int64, where each stands in the file's list.
        owner: (N,) int64, index of the image of each object.
        labels: (N,) int64, label of each object.
        boxes: (N, 4) float64, x, y, w, h as in the file.
        crowds: Number of annotations that are crowds.
    """

    path: str
    classes: tuple[str, ...]
    ids: list[Id]
    names: list[str]
    shapes: npt.NDArray[np.int64]
    annotations: list[dict[str, Any]]
    places: npt.NDArray[np.int64]
    owner: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float64]
    crowds: int

    def where(self, number: int) -> str:
        """Name of an object for messages."""
        return named(self.path, 'annotations', int(self.places[number]), self.annotations[number])


def read_coco(path: str) -> CocoFile:
    """Read a file with objects.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no COCO file, or an entry of it cannot be used.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(
            f'there is no annotation file {printable(path)}: check data_root and ann_file'
        )
    return parse_coco(path, read_json(path))


def parse_coco(path: str, content: Any) -> CocoFile:
    """The same of content that was read before.

    Args:
        path: The file, for messages.
        content: What the json holds; its dicts are those of ``CocoFile.annotations``.

    Raises:
        ValueError: As `read_coco`.
    """
    images, annotations, categories = _lists(path, content)
    category_ids = ids_of(path, 'categories', categories, 'id')
    names = column(path, 'categories', categories, 'name')
    check_each(path, 'categories', categories, names, 'name', lambda n: isinstance(n, str) and n)
    check_twice(path, 'categories', categories, category_ids, 'id', 'classes would be mixed up')
    check_twice(path, 'categories', categories, names, 'name', 'labels would not tell them apart')
    order = sorted(range(len(categories)), key=category_ids.__getitem__)  # ids are of one type
    label_of = {category_ids[place]: label for label, place in enumerate(order)}

    ids = ids_of(path, 'images', images, 'id')
    check_twice(path, 'images', images, ids, 'id', 'objects would land on other photos')
    files = column(path, 'images', images, 'file_name')
    check_each(path, 'images', images, files, 'file_name', _is_file_name)
    shapes = _shapes(path, images)

    crowd = _flags(path, annotations)
    places = np.flatnonzero(~crowd)
    objects = [annotations[place] for place in places]
    owner = references(path, annotations, places, 'image_id', {i: n for n, i in enumerate(ids)})
    labels = references(path, annotations, places, 'category_id', label_of)
    boxes = _boxes(path, annotations, places)
    _check_copies(path, annotations)
    return CocoFile(
        path=path,
        classes=tuple(names[place] for place in order),
        ids=ids,
        names=files,
        shapes=shapes,
        annotations=objects,
        places=places,
        owner=owner,
        labels=labels,
        boxes=boxes,
        crowds=int(crowd.sum()),
    )


def _lists(path: str, content: Any) -> tuple[list[Any], list[Any], list[Any]]:
    if not isinstance(content, dict):
        raise ValueError(f'{printable(path)} is no COCO file: its top level is not a dict')
    lists = []
    for key in ('images', 'annotations', 'categories'):
        entries = content.get(key)
        if not isinstance(entries, list):
            raise ValueError(
                f'{printable(path)} is no COCO file with objects: it has no list {key!r}; name the '
                'file that has images, annotations and categories'
            )
        if not set(map(type, entries)) <= {dict}:
            place = next(n for n, entry in enumerate(entries) if not isinstance(entry, dict))
            raise ValueError(
                f'{named(path, key, place, None)} is {short(entries[place])} and no dict: correct '
                'or remove it'
            )
        lists.append(entries)
    return lists[0], lists[1], lists[2]


def _is_file_name(value: Any) -> bool:
    if not isinstance(value, str) or not value or '\0' in value:
        return False
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        return False
    return True


def _shapes(path: str, images: Sequence[dict[str, Any]]) -> npt.NDArray[np.int64]:
    """Heights and widths (I, 2) of the images, each at least 1 and within the limit of pixels."""
    sides = []
    for key in ('height', 'width'):
        values = column(path, 'images', images, key)
        if not set(map(type, values)) <= {int}:
            values = [
                int(v) if isinstance(v, str) and v.isascii() and v.isdigit() else whole(v)
                for v in values
            ]
        for place, value in enumerate(values):
            if type(value) is not int or value < 1:
                raise ValueError(
                    f'{named(path, "images", place, images[place])} has {key}={short(value)}: '
                    'boxes cannot be placed without the size of the picture; write its height and '
                    f'width in pixels ({_count_bad(values)} of {len(values)} images need that)'
                )
        sides.append(values)
    limit = max_pixels()
    for place, (height, width) in enumerate(zip(*sides, strict=True)):
        if height * width > limit:
            raise ValueError(
                f'{named(path, "images", place, images[place])} has height x width '
                f'{short(height)} x {short(width)}, more than the {limit} pixels of '
                'MMDSSL_MAX_PIXELS: correct it, or set that higher where it is meant'
            )
    return np.asarray(sides, np.int64).reshape(2, -1).T


def _count_bad(values: Sequence[Any]) -> int:
    return sum(type(value) is not int or value < 1 for value in values)


def _flags(path: str, annotations: Sequence[dict[str, Any]]) -> npt.NDArray[np.bool_]:
    """Which annotations are crowds."""
    values = [entry.get('iscrowd', 0) for entry in annotations]
    if set(map(type, values)) <= {int, bool} and set(values) <= {0, 1}:
        return np.asarray(values, bool)
    known = {0: False, 1: True, '0': False, '1': True, None: False, '': False}
    known |= {'false': False, 'true': True}
    flags = []
    for place, value in enumerate(values):
        plain = value.lower() if isinstance(value, str) else value
        if isinstance(plain, (list, dict)) or plain not in known:
            raise ValueError(
                f'{named(path, "annotations", place, annotations[place])} has '
                f'iscrowd={short(value)}: write 0 or 1'
            )
        flags.append(known[plain])
    return np.asarray(flags, bool)


def _boxes(
    path: str, annotations: Sequence[dict[str, Any]], places: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Boxes (N, 4) as in the file."""
    values = column(path, 'annotations', annotations, 'bbox')
    values = [values[place] for place in places]
    try:
        boxes = np.asarray(values, np.float64).reshape(len(values), -1)
        if boxes.shape[1:] == (4,) or not values:
            return boxes.reshape(-1, 4)
    except (TypeError, ValueError, OverflowError):
        pass
    for place, value in zip(places, values, strict=True):
        try:
            wrong = np.asarray(value, np.float64).shape != (4,)
        except (TypeError, ValueError, OverflowError):
            wrong = True
        if wrong:
            raise ValueError(
                f'{named(path, "annotations", int(place), annotations[place])} has '
                f'bbox={short(value)}: write four numbers x, y, width, height, or remove the entry'
            )
    return np.asarray(values, np.float64).reshape(-1, 4)


def _check_copies(path: str, annotations: Sequence[dict[str, Any]]) -> None:
    """Refuse annotations that are in the file twice, as after putting it together with itself."""
    first: dict[Any, int] = {}
    copies: list[tuple[int, int]] = []
    for place, entry in enumerate(annotations):
        number = entry.get('id')
        if type(number) not in (int, str):
            continue
        if number in first and entry == annotations[first[number]]:
            copies.append((first[number], place))
        first.setdefault(number, place)
    if copies:
        one, other = copies[0]
        raise ValueError(
            f'{len(copies)} annotations of {printable(path)} are in it twice, the first as '
            f'annotations[{one}] and annotations[{other}]: objects would count double; keep one of '
            'each'
        )

"""Columns of the lists in a COCO file: keys, ids and references, each complaint naming its entry.

Ids decide which object belongs to which photo and class, so nothing is bent there: whole numbers or
texts, of one kind throughout, each once.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mmdssl.core.wording import listed, printable

__all__ = [
    'Id',
    'check_each',
    'check_twice',
    'column',
    'ids_of',
    'named',
    'references',
    'short',
    'whole',
]

Id = int | str
_KEYS = (
    'images need id, file_name, height, width; annotations image_id, category_id, bbox; '
    'categories id, name'
)
_TOO_LARGE = 2**63


def named(path: str, kind: str, place: int, entry: Any) -> str:
    """``annotations[3] (id 17) of file.json``."""
    number = entry.get('id') if isinstance(entry, dict) else None
    known = f' (id {short(number)})' if isinstance(number, (int, str)) else ''
    return f'{kind}[{place}]{known} of {printable(path)}'


def short(value: Any) -> str:
    """A value as a message shows it."""
    try:
        text = printable(repr(value))
    except ValueError:  # a number of thousands of digits
        return 'a number of thousands of digits'
    return text if len(text) <= 60 else f'{text[:56]} ...'


def column(path: str, kind: str, entries: Sequence[dict[str, Any]], key: str) -> list[Any]:
    """The value of a key in every entry."""
    try:
        return [entry[key] for entry in entries]
    except KeyError:
        place = next(n for n, entry in enumerate(entries) if key not in entry)
        raise ValueError(
            f'{named(path, kind, place, entries[place])} lacks the key {key!r}: {_KEYS}'
        ) from None


def check_each(
    path: str,
    kind: str,
    entries: Sequence[dict],
    values: Sequence[Any],
    key: str,
    good: Callable[[Any], Any],
) -> None:
    """Refuse a text that cannot be used."""
    for place, value in enumerate(values):
        if not good(value):
            raise ValueError(
                f'{named(path, kind, place, entries[place])} has {key}={short(value)}, which is '
                'no usable text: correct it'
            )


def ids_of(path: str, kind: str, entries: Sequence[dict[str, Any]], key: str) -> list[Id]:
    """Ids of one type: whole numbers (3.0 counts as 3) or texts."""
    values = column(path, kind, entries, key)
    types = set(map(type, values))
    if not types <= {int} and not types <= {str}:
        values = [whole(value) for value in values]
        types = set(map(type, values))
    if types <= {str}:
        return values
    if types <= {int} and all(-_TOO_LARGE <= value < _TOO_LARGE for value in values):
        return values
    number = Counter(map(type, values))
    common = str if number[str] > number[int] else int
    place = next((n for n, value in enumerate(values) if type(value) is not common), None)
    if place is None:
        place = next(n for n, v in enumerate(values) if not -_TOO_LARGE <= v < _TOO_LARGE)
    raise ValueError(
        f'{named(path, kind, place, entries[place])} has {key}={short(values[place])}: ids must '
        'all be whole numbers below 2^63, or all be texts'
    )


def whole(value: Any) -> Any:
    """A float that is a whole number as int; anything else as it is."""
    if type(value) is float and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def check_twice(
    path: str, kind: str, entries: Sequence[dict], values: Sequence[Id], key: str, harm: str
) -> None:
    """Refuse a value that two entries have."""
    if len(set(values)) == len(values):
        return
    first: dict[Id, int] = {}
    twice: dict[Id, tuple[int, int]] = {}
    for place, value in enumerate(values):
        if value in first:
            twice.setdefault(value, (first[value], place))
        first.setdefault(value, place)
    value, (one, other) = next(iter(twice.items()))
    if all(entries[a] == entries[b] for a, b in twice.values()):
        remedy = 'the entries are equal, as if the list were in the file twice: keep one of each'
    else:
        remedy = f'give each its own {key}, as when files are put together'
    raise ValueError(
        f'{len(twice)} times {printable(path)} has one {key} for several {kind}, the first '
        f'{short(value)} in {kind}[{one}] and {kind}[{other}]: {harm}; {remedy} '
        f'({key}s: {listed(map(short, twice))})'
    )


def references(
    path: str,
    annotations: Sequence[dict[str, Any]],
    places: npt.NDArray[np.int64],
    key: str,
    known: dict[Id, int],
) -> npt.NDArray[np.int64]:
    """Where the images or categories that objects name stand."""
    if not known:
        raise ValueError(
            f'{printable(path)} lists nothing that {key} could refer to: its '
            f'{"images" if key == "image_id" else "categories"} are an empty list'
        )
    values = [whole(value) for value in column(path, 'annotations', annotations, key)]
    values = [values[place] for place in places]
    if not set(map(type, values)) <= {int, str}:
        # A bool equals 0 or 1, a list cannot be looked up: neither is an id.
        values = [value if type(value) in (int, str) else None for value in values]
    found = np.asarray([known.get(value, -1) for value in values], np.int64)  # type: ignore[arg-type]
    lost = np.flatnonzero(found < 0)
    if len(lost):
        place = int(places[lost[0]])
        wanted = annotations[place][key]
        entry = named(path, 'annotations', place, annotations[place]).partition(' of ')[0]
        kind = type(next(iter(known)))
        hint = (
            f'; the ids of this file are {"whole numbers" if kind is int else "texts"}: write both '
            'alike'
            if type(whole(wanted)) is not kind
            else ': the file is incomplete or put together wrongly'
        )
        raise ValueError(
            f'{len(lost)} annotations of {printable(path)} have an unknown {key}, the first '
            f'{short(wanted)} in {entry}{hint}'
        )
    return found

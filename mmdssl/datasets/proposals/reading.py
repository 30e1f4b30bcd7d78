"""Arrays out of a proposals file that may be anything: damaged, another file, made to do harm.

A hash that fits proves that the file is as it was written, not that its arrays fit together; so
their types, lengths and orders are looked at before anything follows their numbers.
"""

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mmdssl.core.text_files import what_it_is
from mmdssl.core.wording import printable
from mmdssl.datasets.proposals.facts import FORMAT

__all__ = ['ARRAYS', 'check_arrays', 'read_arrays']

#: Arrays of a file: number of dimensions and kinds of numbers.
ARRAYS = {
    'names': (1, 'u'),
    'starts': (1, 'i'),
    'shapes': (2, 'i'),
    'rules': (1, 'u'),
    'offsets': (1, 'i'),
    'boxes': (2, 'i'),
    'counts': (1, 'u'),
    'prints': (1, 'u'),
}


def read_arrays(path: Path) -> tuple[dict[str, npt.NDArray], dict[str, Any]]:
    """Arrays and facts of a file; arrays only where its format is this version's.

    Raises:
        ValueError: It is no proposals file, or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            facts = json.loads(file['facts'].tobytes())
            if not isinstance(facts, dict):
                raise ValueError('its facts are no dict')
            current = facts.get('format') == FORMAT
            for key in ('parameters', 'versions') if current else ():
                if not isinstance(facts.get(key), dict):
                    raise ValueError(f'its facts have no {key}')
            return {key: file[key] for key in (ARRAYS if current else ())}, facts
    # A damaged or foreign file makes zipfile, zlib, json and NumPy raise nearly everything
    # (MemoryError for a length that was changed, RecursionError, NotImplementedError, ...).
    except Exception as error:
        raise ValueError(
            f'{printable(str(path))} is no proposals file, or damaged ({_reason(path, error)}): '
            'copy it again or make it anew with mmdssl proposals'
        ) from error


def _reason(path: Path, error: Exception) -> str:
    try:
        with path.open('rb') as file:
            other = what_it_is(file.read(512))
    except OSError:
        other = ''
    if other and not other.startswith('a zip archive'):  # a proposals file is a zip archive itself
        return f'it is {other}'
    text = ' '.join(str(error).split()) or type(error).__name__
    return printable(text if len(text) <= 160 else f'{text[:156]} ...')


def check_arrays(path: Path, arrays: Mapping[str, npt.NDArray]) -> None:
    """Refuse arrays that do not fit together.

    Raises:
        ValueError: A type, a length or an order is wrong.
    """
    wrong = next((what for what, right in _rules(arrays) if not right()), None)
    if wrong is not None:
        raise ValueError(
            f'{printable(str(path))} is damaged ({wrong}): copy it again or make it anew with '
            'mmdssl proposals'
        )


def _rules(arrays: Mapping[str, npt.NDArray]) -> list[tuple[str, Any]]:
    """What must hold, in the order in which one presumes the other."""
    total = len(arrays['shapes']) if arrays['shapes'].ndim else 0

    def kinds() -> bool:
        return all(
            arrays[k].ndim == n and arrays[k].dtype.kind in t for k, (n, t) in ARRAYS.items()
        )

    def ends(starts: str, items: str) -> bool:
        places = arrays[starts]
        ordered = len(places) == total + 1 and not places[0] and (np.diff(places) >= 0).all()
        return bool(ordered and places[-1] == len(arrays[items]))

    def names() -> bool:
        buffer, starts = arrays['names'].tobytes(), arrays['starts'].tolist()
        found = [buffer[a:b] for a, b in pairwise(starts)]
        return all(a < b for a, b in pairwise(found))

    return [
        ('arrays of other kinds', kinds),
        ('sizes of pictures', lambda: arrays['shapes'].shape[1] == 2),
        ('sizes of pictures', lambda: bool((arrays['shapes'] >= 1).all())),
        ('boxes of other than four numbers', lambda: arrays['boxes'].shape[1] == 4),
        ('rules', lambda: len(arrays['rules']) == total),
        ('fingerprints', lambda: len(arrays['prints']) == total),
        ('names of pictures', lambda: ends('starts', 'names')),
        ('names of pictures out of order', names),
        ('places of boxes', lambda: ends('offsets', 'boxes')),
    ]

"""What a proposals file and its journal state about themselves, compared before they are used.

Format 2 counts how often the search gave each box. Format 1 kept each box once: what was repeated
cannot be told from it any more, so it is refused, never read as if nothing had been repeated.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ['FORMAT', 'check_format', 'check_parameters', 'in_todays_words']

FORMAT = 2


def in_todays_words(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with the producer's name of today; older files have that of scikit-image."""
    former = parameters.get('producer') == 'skimage'
    return {**parameters, 'producer': 'numba'} if former else dict(parameters)


def check_format(path: str | Path, facts: Mapping) -> None:
    """Refuse files of other versions of the format.

    Raises:
        ValueError: It is another one; the sentence says which and what to do.
    """
    if (found := facts.get('format', 1)) != FORMAT:
        lost = ', which kept repeated boxes only once' if found == 1 else ''
        raise ValueError(
            f'{path} has proposals format {found}{lost}; this version reads {FORMAT}: remove it '
            'and make it anew with mmdssl proposals'
        )


def check_parameters(path: str | Path, stored: Mapping, expected: Mapping) -> None:
    """Compare the parameters of a file with those asked for.

    Raises:
        ValueError: One differs; the sentence names it, both values and what to do.
    """
    stored = in_todays_words(stored)
    wanted = in_todays_words(json.loads(json.dumps(dict(expected))))  # tuples become lists
    for key, value in wanted.items():
        if stored.get(key) != value:
            raise ValueError(
                f'the proposals of {path} were made with {key}={stored.get(key)!r}, not {value!r}: '
                'name another file, make this one anew, or where it is meant leave '
                'LoadProposals(expect=...) out'
            )

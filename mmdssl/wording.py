"""Pieces of the sentences that a user reads."""

from collections.abc import Iterable
from itertools import islice

__all__ = ['listed']


def listed(names: Iterable[str], limit: int = 5) -> str:
    """The first names with commas between them, and ``...`` if there are more.

    Args:
        names: In their order.
        limit: Most names to give.
    """
    first = list(islice(names, limit + 1))
    return ', '.join(first[:limit]) + (', ...' if len(first) > limit else '')

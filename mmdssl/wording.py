"""Pieces of the sentences that a user reads."""

from collections.abc import Collection, Iterable
from itertools import islice

__all__ = ['listed', 'listed_after']


def listed(names: Iterable[str], limit: int = 5) -> str:
    """The first names with commas between them, and ``...`` if there are more.

    Args:
        names: In their order.
        limit: Most names to give.
    """
    first = list(islice(names, limit + 1))
    return ', '.join(first[:limit]) + (', ...' if len(first) > limit else '')


def listed_after(names: Collection[str], limit: int = 5) -> str:
    """The same to put behind their number: `` (a, b, ...)``, nothing for none."""
    return f' ({listed(names, limit)})' if names else ''

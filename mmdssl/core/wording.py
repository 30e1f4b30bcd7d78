"""Pieces of the sentences that a user reads."""

from collections.abc import Collection, Iterable
from itertools import islice

__all__ = ['listed', 'listed_after', 'printable']


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


def printable(text: str | bytes) -> str:
    """A file's name, or a text with names in it, as any terminal, log or page can show it.

    Names are bytes and need not be UTF-8 (``caf\xe9.jpg`` of an old Windows): Python keeps such
    bytes as lone surrogates, which no stream takes. Here they stand as ``\\xe9``.

    Args:
        text: As ``os.fsdecode`` gives names, or the bytes themselves.
    """
    if isinstance(text, str):
        try:
            text.encode('utf-8')
        except UnicodeEncodeError:
            text = text.encode('utf-8', 'surrogateescape' if _only_bytes(text) else 'replace')
        else:
            return text
    return text.decode('utf-8', 'backslashreplace')


def _only_bytes(text: str) -> bool:
    """Whether all surrogates of a text stand for bytes."""
    return all(not '\ud800' <= c <= '\udfff' or '\udc80' <= c <= '\udcff' for c in text)

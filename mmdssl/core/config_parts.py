"""Parts of a config made from those of its base: the same steps at another size, say.

A config cannot change a number inside a pipeline of its base, because a list replaces a list.
"""

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ['changed']


def changed(part: Any, changes: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Any:
    """A copy of a part of a config with other arguments in some of its dicts.

        changed(_base_.pipeline, [(dict(size=224), dict(size=128, scale=(0.3, 1.0)))])

    Args:
        part: Of a config: dicts, lists and tuples in each other, and values.
        changes: Pairs (which, new): each dict that holds all entries of ``which`` gets those of
            ``new``, whatever other pairs have changed in it.

    Returns:
        The copy; ``part`` stays as it is. A pair that finds no dict changes nothing.
    """
    changes = tuple(changes)
    if isinstance(part, Mapping):
        copy = {key: changed(value, changes) for key, value in part.items()}
        for which, new in changes:
            if all(key in part and part[key] == value for key, value in which.items()):
                copy.update(new)
        return copy
    if isinstance(part, (list, tuple)):
        return type(part)(changed(entry, changes) for entry in part)
    return part

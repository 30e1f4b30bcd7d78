"""All processes of a run fail together, with the same sentence, or none does.

A process that raises alone leaves the others waiting in their next exchange, for as long as the
process group's patience lasts.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process

__all__ = ['of_main_process', 'same_for_all']

T = TypeVar('T')


def same_for_all(work: Callable[[], T]) -> T:
    """What ``work`` gives in this process, if it fails in none.

    Args:
        work: Every process calls it at the same place.

    Raises:
        ValueError: In every process, with the message of the first that raised one.
    """
    result, failure = _try(work)
    failures = [said for said in all_gather_object(failure) if said]
    if failures:
        raise ValueError(failures[0])
    return result


def of_main_process(work: Callable[[], T]) -> T:
    """What ``work`` gives in the main process, which alone runs it.

    Raises:
        ValueError: In every process, if it raises one.
    """
    outcome: list[Any] = [_try(work)] if is_main_process() else [None]
    broadcast_object_list(outcome)
    result, failure = outcome[0]
    if failure:
        raise ValueError(failure)
    return result


def _try(work: Callable[[], T]) -> tuple[Any, str | None]:
    try:
        return work(), None
    except ValueError as error:
        return None, str(error)

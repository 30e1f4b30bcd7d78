"""The progress of a long job: a bar with rate and time left, or now and then a line in a log."""

import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ['show_progress']

T = TypeVar('T')
_SECONDS_BETWEEN_LINES = 60.0


def show_progress(
    items: Iterable[T],
    title: str,
    total: int,
    done: int = 0,
    *,
    unit: str = 'images',
    shown: bool = True,
    console: Console | None = None,
) -> Iterator[T]:
    """Pass items through and show how many there were.

    On a terminal this is a bar; elsewhere, where a bar would only show when it is over, a line is
    printed once a minute.

    Args:
        items: What to count.
        title: What the job is.
        total: Number of items, those done before included.
        done: Items done before; they do not count for the rate.
        unit: Name of the items.
        shown: Whether to show anything.
        console: Where to; None: the standard error stream.

    Yields:
        The items.
    """
    console = console or Console(stderr=True)
    start = time.monotonic()
    bar = Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn('{task.fields[rate]}'),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=console,
        disable=not (shown and console.is_terminal),
    )
    next_line = start + _SECONDS_BETWEEN_LINES
    iterator = iter(items)
    first = list(islice(iterator, 1))  # starts worker processes before the bar starts a thread
    with bar:
        task = bar.add_task(title, total=total, completed=done, rate='')
        for number, item in enumerate(chain(first, iterator), start=1):
            yield item
            now = time.monotonic()
            rate = number / (now - start)
            bar.update(task, advance=1, rate=f'{rate:.1f} {unit}/s')
            if shown and not console.is_terminal and now >= next_line:
                next_line = now + _SECONDS_BETWEEN_LINES
                left = (total - done - number) / rate / 60
                console.print(
                    f'{title}: {done + number} of {total} {unit}, {rate:.1f}/s, '
                    f'about {left:.0f} min left'
                )

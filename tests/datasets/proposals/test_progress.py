"""Progress of a long job: every item once and in order, and now and then a line in a log."""

import io

from rich.console import Console

from mmdssl.datasets.proposals import progress


def test_items_come_once_and_in_order():
    console = Console(file=io.StringIO())
    assert list(progress.show_progress('abcd', 'search', 4, console=console)) == list('abcd')
    assert list(progress.show_progress('', 'search', 0, console=console)) == []
    assert console.file.getvalue() == ''  # a minute has not gone by


def test_a_log_says_how_far_the_job_is(monkeypatch):
    """Four of ten items are done before; an item takes 20 s, a line comes once a minute."""
    clock = iter(range(1000, 3000, 20))
    monkeypatch.setattr(progress.time, 'monotonic', lambda: next(clock))
    console = Console(file=io.StringIO(), width=200)
    items = progress.show_progress(range(6), 'search', 10, 4, unit='photos', console=console)
    assert list(items) == list(range(6))
    lines = console.file.getvalue().splitlines()
    assert lines == [
        'search: 7 of 10 photos, 0.1/s, about 1 min left',
        'search: 10 of 10 photos, 0.1/s, about 0 min left',
    ]

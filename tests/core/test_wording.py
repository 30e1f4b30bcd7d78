"""Lists in messages stay short and say that they were cut."""

import os

import pytest

from mmdssl.core.wording import listed, listed_after, printable


@pytest.mark.parametrize(
    ('names', 'text'),
    [([], ''), (['a'], 'a'), (['a', 'b'], 'a, b'), (('a', 'b', 'c'), 'a, b, ...')],
)
def test_more_than_the_limit_is_cut(names, text):
    assert listed(names, limit=2) == text
    assert listed(iter(names), limit=2) == text


def test_behind_a_number_there_are_brackets_or_nothing():
    assert listed_after(('a', 'b', 'c'), 2) == ' (a, b, ...)'
    assert listed_after(()) == ''


@pytest.mark.parametrize(
    ('name', 'shown'),
    [
        ('häuser.jpg', 'häuser.jpg'),
        (os.fsdecode(b'caf\xe9.jpg'), r'caf\xe9.jpg'),
        (b'caf\xe9.jpg', r'caf\xe9.jpg'),
        ('x\ud800y', 'x?y'),
    ],
)
def test_every_name_can_be_printed(name, shown):
    assert printable(name) == shown
    assert printable(name).encode('utf-8')

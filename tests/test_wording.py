"""Lists in messages stay short and say that they were cut."""

import pytest

from mmdssl.wording import listed, listed_after


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

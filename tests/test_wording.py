"""Lists in messages stay short and say that they were cut."""

import pytest

from mmdssl.wording import listed


@pytest.mark.parametrize(
    ('names', 'text'),
    [([], ''), (['a'], 'a'), (['a', 'b'], 'a, b'), (('a', 'b', 'c'), 'a, b, ...')],
)
def test_more_than_the_limit_is_cut(names, text):
    assert listed(names, limit=2) == text
    assert listed(iter(names), limit=2) == text

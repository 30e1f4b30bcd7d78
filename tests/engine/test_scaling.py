"""Hours on more processes against sums by hand."""

import pytest

from mmdssl.engine.scaling import Links, hours_on

RUN = dict(images=64_000, batch=10, seconds=0.36, gradient_bytes=100_000_000)


def test_one_process_exchanges_nothing():
    assert hours_on(1, **RUN) == pytest.approx(6400 * 0.36 / 3600)


def test_gradients_cost_by_the_link_that_they_cross():
    links = Links(per_machine=8, inside=1e9, between=1e8, hidden=0.25)
    # 100 MB go twice through seven of eight parts of the ring, a quarter of it hidden.
    inside = 0.75 * 2 * 7 / 8 * 0.1
    assert hours_on(8, **RUN, links=links) == pytest.approx(800 * (0.36 + inside) / 3600)
    between = 0.75 * 2 * 63 / 64 * 1.0
    assert hours_on(64, **RUN, links=links) == pytest.approx(100 * (0.36 + between) / 3600)


def test_the_last_step_need_not_be_full():
    run = {**RUN, 'images': 64_001}
    assert hours_on(64, **run, links=Links(hidden=1.0)) == pytest.approx(101 * 0.36 / 3600)

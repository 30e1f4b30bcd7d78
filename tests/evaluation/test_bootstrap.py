"""Intervals by drawn images: what they must be, against plain loops and known distributions."""

import numpy as np
import pytest

from mmdssl.evaluation.bootstrap import bootstrap_shares, percentile_interval, ratio_interval


def test_every_draw_is_the_share_of_hits_among_the_images_drawn():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 6, 30)
    hits = np.stack([rng.integers(0, counts + 1), counts], axis=1)
    found = bootstrap_shares(hits, counts, samples=50, seed=3)
    times = np.random.default_rng(3).multinomial(30, np.full(30, 1 / 30), size=50)
    for drawn, shares in zip(times, found, strict=True):
        images = np.repeat(np.arange(30), drawn)
        assert len(images) == 30
        assert shares[0] == pytest.approx(sum(hits[images, 0]) / sum(counts[images]))
    assert (found[:, 1] == 1).all()


def test_draws_in_parts_are_those_at_once(monkeypatch):
    counts, hits = np.full(7, 2), np.arange(7)[:, None] % 3
    whole = bootstrap_shares(hits, counts, samples=40, seed=1)
    monkeypatch.setattr('mmdssl.evaluation.bootstrap._AT_ONCE', 7 * 9)
    np.testing.assert_array_equal(bootstrap_shares(hits, counts, samples=40, seed=1), whole)


def test_the_interval_is_as_wide_as_theory_says_and_wider_for_dependent_objects():
    rng = np.random.default_rng(0)
    single = rng.random((400, 1)) < 0.3
    low, high = percentile_interval(bootstrap_shares(single, np.ones(400, int), samples=4000)[:, 0])
    share = single.mean()
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(share * (1 - share) / 400), rel=0.08)
    # The same objects four to an image, all of which agree: as few as there are images.
    grouped = 4 * single[:100]
    wide = percentile_interval(bootstrap_shares(grouped, np.full(100, 4), samples=4000)[:, 0])
    assert wide[1] - wide[0] > 1.7 * (high - low)


def test_a_pair_of_networks_drawn_together_differs_less_than_its_parts():
    rng = np.random.default_rng(1)
    base = (rng.random((300, 1)) < 0.5).astype(int)
    better = np.where(rng.random((300, 1)) < 0.05, 1, base)
    counts = np.ones(300, int)
    one, two = (bootstrap_shares(h, counts, seed=5)[:, 0] for h in (base, better))
    assert np.ptp(percentile_interval(two - one)) < 0.5 * np.ptp(percentile_interval(two))


def test_unusable_input_is_refused():
    for counts, samples in ((np.array([1, 0]), 5), (np.zeros(0, int), 5), (np.ones(2, int), 0)):
        with pytest.raises(ValueError, match='images with objects'):
            bootstrap_shares(np.zeros((len(counts), 1)), counts, samples=samples)
    with pytest.raises(ValueError, match='confidence=1'):
        percentile_interval(np.ones(3), 1)


def test_an_interval_of_a_mean_leaves_out_images_that_do_not_count():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 4, 60)
    sums = counts * rng.random(60)
    low, high = ratio_interval(sums, counts, samples=500, seed=1)
    assert low < sums.sum() / counts.sum() < high
    kept = counts > 0
    assert ratio_interval(sums[kept], counts[kept], samples=500, seed=1) == (low, high)
    narrow = ratio_interval(sums, counts, samples=500, seed=1, confidence=0.5)
    assert low < narrow[0] < narrow[1] < high

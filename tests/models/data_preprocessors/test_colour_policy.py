import itertools
import math

import pytest
import torch

from mmdssl.models.data_preprocessors.colour_policy import ColourDraws, ColourPolicy

JITTER = dict(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, prob=0.8)
VIEW = dict(
    jitter=JITTER,
    grayscale=0.2,
    blur=dict(prob=0.1, sigma=(0.1, 2.0)),
    solarize=dict(prob=0.2, threshold=0.5),
)
N = 20000


def draw(config, n=N, seed=0):
    torch.manual_seed(seed)
    return ColourPolicy.from_config(config).draw(n)


def share_is(hits, p):
    """Whether the share of hits is within five standard deviations of p."""
    return abs(hits.float().mean().item() - p) <= 5 * math.sqrt(p * (1 - p) / len(hits))


def is_uniform(values, low, high):
    """Kolmogorov-Smirnov distance to the uniform distribution, at a chance of about 1e-6."""
    ordered = (values.double().sort().values - low) / (high - low)
    assert ordered[0] >= 0
    assert ordered[-1] <= 1 + 1e-6
    grid = (torch.arange(len(ordered)) + 0.5) / len(ordered)
    return (ordered - grid).abs().max() < 2.7 / math.sqrt(len(ordered))


def test_shares_of_touched_samples_are_the_probabilities():
    draws = draw(VIEW)
    assert share_is(draws.order[:, 0] >= 0, 0.8)
    assert share_is(draws.grayscale, 0.2)
    assert share_is(draws.sigma > 0, 0.1)
    assert share_is(draws.threshold.isfinite(), 0.2)


@pytest.mark.parametrize('prob', [0.0, 1.0])
def test_probabilities_zero_and_one_are_exact(prob):
    draws = draw(
        dict(
            jitter={**JITTER, 'prob': prob},
            grayscale=prob,
            blur=dict(prob=prob),
            solarize=dict(prob=prob),
        )
    )
    touched = torch.stack(
        [draws.order[:, 3] >= 0, draws.grayscale, draws.sigma > 0, draws.threshold < 2]
    )
    assert bool((touched == bool(prob)).all())


def test_changes_are_drawn_independently():
    """No correlation between changes, factors, sigma and the places of the operations."""
    draws = draw(VIEW)
    touched = torch.stack(
        [draws.order[:, 0] >= 0, draws.grayscale, draws.sigma > 0, draws.threshold.isfinite()]
    )
    # The same uniform numbers under a policy that shows every place and sigma.
    shown = draw({**VIEW, 'jitter': {**JITTER, 'prob': 1.0}, 'blur': dict(prob=1.0)})
    assert torch.equal(shown.factors, draws.factors)
    places = shown.order.argsort(dim=1)
    values = torch.stack([*touched.float(), *draws.factors.T, shown.sigma, *places.T.float()])
    correlation = torch.corrcoef(values) - torch.eye(len(values))
    correlation[-4:, -4:] = 0  # places of one sample exclude each other
    assert correlation.abs().max() < 5 / math.sqrt(N)


def test_factors_are_uniform_in_their_ranges():
    draws = draw({**VIEW, 'blur': dict(prob=1.0, sigma=(0.1, 2.0))})
    ranges = [(0.6, 1.4), (0.6, 1.4), (0.8, 1.2), (-0.1, 0.1)]
    for factors, (low, high) in zip(draws.factors.T, ranges, strict=True):
        assert is_uniform(factors, low, high)
    assert is_uniform(draws.sigma, 0.1, 2.0)


def test_orders_of_the_jitter_are_uniform_over_all_permutations():
    draws = draw(dict(jitter={**JITTER, 'prob': 1.0}))
    for permutation in itertools.permutations(range(4)):
        assert share_is((draws.order == torch.tensor(permutation)).all(1), 1 / 24)


def test_operations_without_strength_are_left_out_of_the_order():
    draws = draw(dict(jitter=dict(brightness=0.4, hue=0.1)))
    assert share_is((draws.order == torch.tensor([0, 3, -1, -1])).all(1), 0.5)
    assert share_is((draws.order == torch.tensor([3, 0, -1, -1])).all(1), 0.5)


def test_strength_above_one_starts_at_zero_and_pairs_are_ranges():
    policy = ColourPolicy.from_config(
        dict(jitter=dict(brightness=1.5, contrast=(0.5, 0.7), hue=(0.1, 0.2)))
    )
    assert policy.ranges == ((0.0, 2.5), (0.5, 0.7), (1.0, 1.0), (0.1, 0.2))


def test_empty_policy_draws_nothing():
    draws = draw({}, n=10)
    assert bool((draws.order == -1).all())
    assert not draws.grayscale.any()
    assert not draws.sigma.any()
    assert bool(draws.threshold.isinf().all())


def same(first, second):
    return all(torch.equal(getattr(first, k), getattr(second, k)) for k in vars(first))


def test_a_seed_fixes_the_draws_and_samples_differ():
    assert same(draw(VIEW, 64, seed=3), draw(VIEW, 64, seed=3))
    assert not same(draw(VIEW, 64, seed=3), draw(VIEW, 64, seed=4))
    assert len(draw(VIEW, 64).factors.unique(dim=0)) == 64


def test_the_first_samples_do_not_depend_on_the_batch_size():
    assert same(draw(VIEW, 64)[torch.arange(10)], draw(VIEW, 10))


def test_the_number_of_draws_does_not_depend_on_the_policy():
    draw(VIEW, 16)
    after = torch.rand(1)
    draw({}, 16)
    assert torch.equal(after, torch.rand(1))


def test_cat_and_selection_are_inverse():
    first, second = draw(VIEW, 5, seed=0), draw(VIEW, 7, seed=1)
    both = ColourDraws.cat([first, second])
    assert len(both) == 12
    assert same(both[:5], first)
    assert same(both[5:], second)


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(gray=0.2), r"v has unknown keys \['gray'\]: use keys among"),
        (dict(jitter=dict(gamma=0.2)), r"v\.jitter has unknown keys \['gamma'\]"),
        (dict(jitter=0.4), r'v\.jitter is a dict'),
        (dict(blur=dict(radius=2)), r"v\.blur has unknown keys \['radius'\]"),
        (dict(grayscale=1.2), r'v\.grayscale is a number from 0 to 1, got 1\.2'),
        (dict(grayscale=True), r'v\.grayscale is a number'),
        (dict(jitter=dict(brightness=-0.4)), r'v\.jitter\.brightness is a number from 0'),
        (dict(jitter=dict(hue=0.6)), r'v\.jitter\.hue is a number from 0 to 0\.5'),
        (dict(jitter=dict(hue=(-0.7, 0.1))), r'v\.jitter\.hue is a number from -0\.5'),
        (dict(jitter=dict(contrast=(1.2, 0.8))), r'v\.jitter\.contrast is a pair .* low <= high'),
        (dict(blur=dict(sigma=2.0)), r'v\.blur\.sigma is a pair'),
        (dict(blur=dict(sigma=(0, 2.0))), r'v\.blur\.sigma is a number from 0\.001'),
        (dict(solarize=dict(threshold=128)), r'v\.solarize\.threshold is a number from 0 to 1'),
        ([], r'v is a dict'),
    ],
)
def test_bad_policies_name_the_key_and_the_remedy(config, message):
    with pytest.raises(ValueError, match=message):
        ColourPolicy.from_config(config, 'v')


def test_what_is_left_out_has_the_documented_default():
    policy = ColourPolicy.from_config(dict(blur={}, solarize={}, jitter=dict(hue=0.1)))
    assert (policy.threshold, policy.sigma) == (0.5, (0.1, 2.0))
    assert (policy.blur_prob, policy.solarize_prob, policy.jitter_prob) == (1.0, 1.0, 1.0)
    assert policy.grayscale_prob == 0.0
    empty = ColourPolicy.from_config({})
    assert (empty.blur_prob, empty.solarize_prob, empty.grayscale_prob) == (0.0, 0.0, 0.0)
    assert empty.ranges == ((1.0, 1.0), (1.0, 1.0), (1.0, 1.0), (0.0, 0.0))


def test_a_policy_of_nothing_changes_nothing():
    policy = ColourPolicy()
    assert policy.ranges == ColourPolicy.from_config({}).ranges
    draws = policy.draw(50)
    assert (draws.order == -1).all()
    assert not draws.grayscale.any()
    assert draws.threshold.isinf().all()

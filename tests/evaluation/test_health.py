"""Spread and rank take the values that can be worked out by hand."""

import math

import pytest
import torch

from mmdssl.evaluation.health import effective_rank, feature_spread


def test_equal_features_have_no_spread_and_no_rank():
    features = torch.randn(1, 16).expand(50, 16)
    assert feature_spread(features) == pytest.approx(0, abs=1e-6)
    assert effective_rank(features) == 0


def test_opposite_features_have_full_spread():
    features = torch.tensor([[3.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -5.0]])
    assert feature_spread(features) == pytest.approx(1)


def test_rank_counts_directions_of_equal_strength():
    torch.manual_seed(0)
    directions, _ = torch.linalg.qr(torch.randn(32, 5))
    signs = torch.cat([torch.eye(5), -torch.eye(5)])
    assert effective_rank(signs @ directions.T + 7.0) == pytest.approx(5, abs=1e-3)


def test_rank_of_unequal_directions_is_the_exponential_of_their_entropy():
    share = torch.tensor([0.75, 0.25])
    features = torch.cat([torch.diag(share), -torch.diag(share)])
    entropy = -sum(p * math.log(p) for p in share.tolist())
    assert effective_rank(features) == pytest.approx(math.exp(entropy), rel=1e-5)


def test_features_that_are_not_finite_have_no_rank():
    features = torch.randn(6, 4)
    features[2, 1] = float('nan')
    assert math.isnan(effective_rank(features))

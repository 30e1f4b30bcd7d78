"""Packed features give the cosines of the exact ones within a stated error."""

import zlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmdssl.visualization.affinity import point_affinity
from mmdssl.visualization.feature_codec import pack_features, packing_error, unpack_features


def smooth(channels: int = 96, side: int = 28, offset: float = 0.0) -> torch.Tensor:
    """Features as networks make them: smooth over places, variances falling, a common part."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, channels, 7, 7, generator=generator)
    coarse *= torch.arange(1, channels + 1)[:, None, None] ** -0.7
    features = F.interpolate(coarse, size=(side, side), mode='bicubic')[0]
    return features + 0.02 * torch.randn(channels, side, side, generator=generator) + offset


def test_the_stated_error_is_that_of_point_affinity_and_small():
    features = smooth()
    packed = pack_features(features)
    # The stated points: 64 cells spread over the interpolated map.
    cells = torch.arange(64) * 56 * 56 // 64
    points = torch.stack([cells % 56, cells // 56], dim=1).add(0.5) / 56
    exact = point_affinity(features, points)
    difference = point_affinity(unpack_features(packed), points) - exact
    largest, rms = packing_error(features, packed)
    assert largest == pytest.approx(difference.abs().max().item(), abs=1e-5)
    assert rms == pytest.approx(difference.square().mean().sqrt().item(), abs=1e-5)
    assert largest < 0.02
    assert rms < 0.004


def test_features_that_hardly_differ_get_a_finer_step():
    largest, _ = packing_error(smooth(offset=3.0), pack_features(smooth(offset=3.0)))
    spread = 1 - point_affinity(smooth(offset=3.0), torch.tensor([[0.5, 0.5]])).min().item()
    assert spread < 0.1
    assert largest < 0.02 * spread


def test_fewer_components_are_smaller_and_less_exact():
    features = smooth()
    few, many = (pack_features(features, components=count) for count in (8, 95))
    assert len(few.to_bytes()) < len(many.to_bytes()) / 4
    assert packing_error(features, few)[1] > 2 * packing_error(features, many)[1]


def test_lengths_survive_in_full_and_bytes_are_lengths_then_codes():
    features = smooth(channels=12, side=5)
    packed = pack_features(features)
    raw = zlib.decompress(packed.to_bytes())
    np.testing.assert_array_equal(np.frombuffer(raw[:100], '<f4'), features.norm(dim=0).flatten())
    np.testing.assert_array_equal(np.frombuffer(raw[100:], np.int8), packed.codes.ravel())
    assert packed.codes.shape[0] <= 13


def test_equal_features_everywhere_have_cosine_one():
    packed = pack_features(torch.ones(6, 4, 4))
    torch.testing.assert_close(
        point_affinity(unpack_features(packed), torch.tensor([[0.1, 0.9]])), torch.ones(1, 56, 56)
    )


def test_unusable_features_are_refused():
    with pytest.raises(ValueError, match='one finite map'):
        pack_features(torch.full((3, 2, 2), torch.nan))
    with pytest.raises(ValueError, match='components=0'):
        pack_features(torch.ones(3, 2, 2), components=0)

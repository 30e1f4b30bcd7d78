"""Entropy takes the values that can be worked out by hand."""

import torch

from mmdssl.models.utils.entropy import normalised_entropy


def test_entropy_is_one_for_uniform_and_zero_for_certain():
    rows = torch.tensor([[0.25] * 4, [1.0, 0, 0, 0], [0.5, 0.5, 0, 0]])
    torch.testing.assert_close(normalised_entropy(rows), torch.tensor([1.0, 0.0, 0.5]))

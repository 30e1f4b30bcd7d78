"""The alignment loss: which layers count, whitening, twice the smooth L1."""

import pytest
import torch

from mmdssl.models.losses.alignment_loss import alignment_loss, layer_weights, whiten


@pytest.mark.parametrize(
    ('layers', 'weights'),
    [
        ('top2', (0, 0, 0.5, 0.5)),
        ('top4', (0.25,) * 4),
        ('mean', (0.25,) * 4),
        ('out', (0, 0, 0, 1)),
        ('linear_decay', (0, 1 / 6, 2 / 6, 3 / 6)),
    ],
)
def test_layer_weights(layers, weights):
    assert layer_weights(layers, 4) == pytest.approx(weights)


@pytest.mark.parametrize('layers', ['top5', 'top0', 'topmost', 'last', ''])
def test_layers_that_are_not_there_are_refused(layers):
    with pytest.raises(ValueError, match='from 1 to 4'):
        layer_weights(layers, 4)


def test_small_differences_count_squared_and_large_ones_linearly():
    target = torch.zeros(2, 4)
    aligned = torch.tensor([[0.5, -0.5, 0.0, 0.0], [3.0, -3.0, 0.0, 0.0]])
    # twice 0.5 x^2, twice (|x| - 0.5), mean over four channels
    torch.testing.assert_close(alignment_loss(aligned, target), torch.tensor([0.125, 2.5]))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_whitened_tokens_are_wide_and_of_unit_variance(dtype):
    tokens = (torch.randn(3, 5, 64) * 7 + 2).to(dtype)
    white = whiten(tokens)
    assert white.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(white.mean(-1), torch.zeros_like(white[..., 0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        white.var(-1, unbiased=False), torch.ones_like(white[..., 0]), atol=1e-4, rtol=0
    )
    assert alignment_loss(white.half(), white).dtype == white.dtype

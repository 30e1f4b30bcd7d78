"""Dynamic alignment: each teacher layer has its own mix of student layers and its own linear."""

import torch

from mmdssl.models.heads.dynamic_alignment import DynamicAlignment


def test_starts_near_one_layer_for_one_layer_and_trains_the_aligned_ones():
    head = DynamicAlignment(depth=4, in_channels=6, out_channels=5, layers=(1, 3))
    torch.nn.init.normal_(head.matrix)
    head.init_weights()
    torch.testing.assert_close(head.matrix.detach(), torch.eye(4) + 0.01)
    trained = [head.linears[i].weight.requires_grad for i in range(4)]
    assert trained == [False, True, False, True]


def test_aligned_tokens_are_linears_of_mixtures():
    torch.manual_seed(0)
    head = DynamicAlignment(depth=3, in_channels=6, out_channels=5, layers=(0, 2))
    torch.nn.init.normal_(head.matrix)
    hidden = [torch.randn(2, 7, 6) for _ in range(3)]
    aligned = head(hidden)
    assert len(aligned) == 2
    for got, layer in zip(aligned, (0, 2), strict=True):
        mixed = sum(head.matrix[layer, j] * hidden[j] for j in range(3))
        torch.testing.assert_close(got, head.linears[layer](mixed))
    flat = head([state[:, 0] for state in hidden])  # any shape before the channels
    torch.testing.assert_close(flat[1], aligned[1][:, 0])

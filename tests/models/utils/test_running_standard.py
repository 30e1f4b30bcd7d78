"""Statistics of a frozen network: of all batches and processes, and what they do to a map."""

import torch

from mmdssl.models.utils import collectives
from mmdssl.models.utils.running_standard import RunningStandard


def batches() -> torch.Tensor:
    """3 batches of 4 maps with 5 channels, each with a mean and deviation of its own."""
    torch.manual_seed(0)
    spread, offset = torch.rand(5, 1, 1) * 3 + 0.1, torch.randn(5, 1, 1) * 4
    return torch.randn(3, 4, 5, 6, 6) * spread + offset


def test_after_some_batches_they_are_those_of_all_images():
    every, standard = batches(), RunningStandard(5)
    for batch in every:
        standard.observe(batch)
    whole = every.flatten(0, 1).transpose(0, 1).flatten(1)  # (5, values)
    torch.testing.assert_close(standard.mean, whole.mean(dim=1))
    done = torch.cat([standard(batch) for batch in every]).transpose(0, 1).flatten(1)
    torch.testing.assert_close(done.mean(dim=1), torch.zeros(5), rtol=0, atol=1e-5)
    torch.testing.assert_close(done.std(dim=1, unbiased=False), torch.ones(5), rtol=1e-4, atol=0)


def test_processes_share_them(monkeypatch):
    one, two, alone = batches()[0, :2], batches()[0, 2:], RunningStandard(5)
    alone.observe(batches()[0])
    other = two.transpose(0, 1).flatten(1)
    moments = torch.stack([other.mean(dim=1), other.square().mean(dim=1)])

    def reduce(tensor, op):
        assert op == 'mean'
        tensor.copy_((tensor + moments) / 2)

    monkeypatch.setattr(collectives.dist, 'all_reduce', reduce)
    shared = RunningStandard(5)
    shared.observe(one)
    torch.testing.assert_close(shared.mean, alone.mean)
    torch.testing.assert_close(shared.square, alone.square)


def test_a_dead_channel_stays_zero():
    maps = batches()[0]
    maps[:, 2] = 7.0
    standard = RunningStandard(5)
    standard.observe(maps)
    assert standard(maps)[:, 2].abs().max() < 1e-2
    assert standard(maps.bfloat16()).dtype == torch.float32

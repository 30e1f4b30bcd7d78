"""Images under ``frozen_running_stats`` are normalised by themselves and leave no trace."""

import pytest
import torch
from torch import nn

from mmdssl.models.utils.batch_statistics import frozen_running_stats


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyBatchNorm1d())
    net(torch.randn(8, 3, 6, 6))
    return net


def buffers(net: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.named_buffers()}


def test_statistics_and_counters_stay_bit_equal(net):
    before = buffers(net)
    with frozen_running_stats(net):
        net(torch.randn(8, 3, 6, 6) * 5 + 2)
    after = buffers(net)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_output_is_that_of_ordinary_training(net):
    images = torch.randn(8, 3, 6, 6)
    with frozen_running_stats(net):
        frozen = net(images)
    assert torch.equal(frozen, net(images))
    assert not torch.equal(frozen, net.eval()(images))


def test_statistics_move_again_afterwards_and_after_an_error(net):
    before = buffers(net)
    with pytest.raises(RuntimeError), frozen_running_stats(net):
        net(torch.randn(8, 5, 6, 6))
    net(torch.randn(8, 3, 6, 6))
    after = buffers(net)
    assert not any(torch.equal(before[name], after[name]) for name in before)


def test_evaluation_mode_keeps_its_running_statistics(net):
    images = torch.randn(8, 3, 6, 6)
    expected = net.eval()(images)
    with frozen_running_stats(net):
        assert torch.equal(net(images), expected)

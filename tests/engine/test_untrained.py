"""An untrained network is measured with BatchNorms that know the data, and nothing else changes."""

import copy

import torch
from torch import nn

from mmdssl.engine.untrained import calibrate_batch_norms


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))


def test_running_statistics_are_the_mean_over_batches():
    backbone, batches = net(), [torch.randn(4, 3, 8, 8) + n for n in range(3)]
    backbone.eval()
    before = copy.deepcopy(backbone.state_dict())
    assert calibrate_batch_norms(backbone, batches) == 1
    maps = [backbone[0](batch).transpose(0, 1).flatten(1) for batch in batches]
    mean = torch.stack([values.mean(1) for values in maps]).mean(0)
    variance = torch.stack([values.var(1) for values in maps]).mean(0)
    norm = backbone[1]
    torch.testing.assert_close(norm.running_mean, mean)
    torch.testing.assert_close(norm.running_var, variance)
    assert norm.momentum == 0.1
    assert not norm.training
    for name, value in backbone.named_parameters():
        assert torch.equal(value, before[name])


def test_a_net_without_batch_norm_is_left_alone():
    assert calibrate_batch_norms(nn.Sequential(nn.Conv2d(3, 4, 3)), []) == 0

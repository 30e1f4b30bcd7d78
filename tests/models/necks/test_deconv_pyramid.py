"""The pyramid: sizes, and each level by value."""

import pytest
import torch
import torch.nn.functional as F

from mmdssl.registry import MODELS

BN = dict(type='BN')


def build():
    return MODELS.build(dict(type='DeconvPyramid', in_channels=6, norm_cfg=BN)).eval()


def test_levels_are_the_four_operations():
    pyramid = build()
    maps = torch.randn(4, 2, 6, 3, 4).unbind(0)
    up4, up2, same, down2 = pyramid(maps)
    first, norm, _, second = pyramid.up4
    by_hand = F.conv_transpose2d(maps[0], first.weight, first.bias, stride=2)
    by_hand = F.gelu(by_hand / (1 + norm.eps) ** 0.5)  # running statistics 0 and 1
    by_hand = F.conv_transpose2d(by_hand, second.weight, second.bias, stride=2)
    torch.testing.assert_close(up4, by_hand)
    torch.testing.assert_close(
        up2, F.conv_transpose2d(maps[1], pyramid.up2.weight, pyramid.up2.bias, stride=2)
    )
    assert torch.equal(same, maps[2])
    assert torch.equal(down2[0, 0, 0, 0], maps[3][0, 0, :2, :2].max())
    assert [tuple(m.shape[-2:]) for m in (up4, up2, same, down2)] == [
        (12, 16),
        (6, 8),
        (3, 4),
        (1, 2),
    ]


def test_equals_that_of_mmseg():
    necks = pytest.importorskip('mmseg.models.necks')
    theirs = necks.Feature2Pyramid(6, norm_cfg=BN).eval()
    pyramid = build()
    theirs.upsample_4x.load_state_dict(pyramid.up4.state_dict())
    theirs.upsample_2x[0].load_state_dict(pyramid.up2.state_dict())
    maps = torch.randn(4, 1, 6, 4, 4).unbind(0)
    for one, two in zip(pyramid(maps), theirs(maps), strict=True):
        assert torch.equal(one, two)


def test_another_number_of_maps_is_refused():
    with pytest.raises(ValueError, match='3 maps given for 4 levels'):
        build()([torch.zeros(1, 6, 2, 2)] * 3)

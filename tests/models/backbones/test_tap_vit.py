"""Taps: where they are taken, what is normalised, and that images of any size fit."""

import pytest
import torch

from mmdssl.models.backbones import DenseViT, TapViT
from mmdssl.models.backbones.position_embedding import resize_position_embedding

ARCH = dict(embed_dims=24, num_layers=4, num_heads=3, feedforward_channels=48)


def vit(**kwargs):
    torch.manual_seed(0)
    settings = dict(arch=ARCH, img_size=32, patch_size=8, out_indices=(0, 1, 2, 3))
    net = TapViT(**{**settings, **kwargs})
    net.init_weights()
    for parameter in net.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    net.eval()  # mmpretrain's gives nothing back
    return net


def tokens_by_hand(net, images):
    """Tokens after every block."""
    x, _ = net.embed(images)
    states = []
    for layer in net.layers:
        x = layer(x)
        states.append(x)
    return states


@pytest.mark.parametrize('tap_norm', [False, True])
def test_taps_are_the_blocks_asked_for_with_the_norm_at_each_or_none(tap_norm):
    net, images = vit(out_indices=(0, 2, 3), tap_norm=tap_norm), torch.randn(2, 3, 32, 48)
    states = tokens_by_hand(net, images)
    maps = net(images)
    assert len(maps) == 3
    for block, tap in zip((0, 2, 3), maps, strict=True):
        x = net.ln1(states[block]) if tap_norm else states[block]
        assert tap.shape == (2, 24, 4, 6)
        for row, column in ((0, 0), (1, 4), (3, 5)):
            expected = x[:, 1 + row * 6 + column]
            torch.testing.assert_close(tap[:, :, row, column], expected)


def test_without_norm_there_is_none():
    assert not [name for name in vit().state_dict() if name.startswith('ln1.')]
    assert [name for name in vit(tap_norm=True).state_dict() if name.startswith('ln1.')]


def test_every_parameter_gets_a_gradient():
    net = vit(tap_norm=True)
    net.train()
    sum((tap**2).mean() for tap in net(torch.randn(1, 3, 32, 32))).backward()
    without = [name for name, p in net.named_parameters() if p.grad is None]
    assert not without


@pytest.mark.parametrize('rule', [None, 'size', 'factor'])
def test_positions_are_resized_by_the_loaders_rule_then_per_image(rule):
    settings = {} if rule is None else dict(load_rule=rule)
    small, wide = vit(), vit(img_size=(48, 64), **settings)
    wide.load_state_dict(small.state_dict())
    grid = small.pos_embed[:, 1:].reshape(1, 4, 4, 24).permute(0, 3, 1, 2)
    to = dict(scale_factor=(6.1 / 4, 8.1 / 4)) if rule == 'factor' else dict(size=(6, 8))
    table = torch.nn.functional.interpolate(grid, mode='bicubic', align_corners=False, **to)
    torch.testing.assert_close(wide.pos_embed[:, 1:], table.flatten(2).transpose(1, 2))
    assert torch.equal(wide.pos_embed[:, 0], small.pos_embed[:, 0])
    images = torch.randn(1, 3, 40, 72)
    patches, _ = wide.patch_embed(images)
    at_grid = resize_position_embedding(wide.pos_embed, (6, 8), (5, 9))
    torch.testing.assert_close(wide.embed(images)[0][:, 1:], patches + at_grid[:, 1:])
    again = vit(img_size=(48, 64))  # a checkpoint of the detector itself: as it is
    again.load_state_dict(wide.state_dict())
    assert torch.equal(again.pos_embed, wide.pos_embed)


def test_drop_path_rises_to_the_rate_asked_for():
    net = vit(drop_path_rate=0.3)
    rates = [getattr(layer.attn.out_drop, 'drop_prob', 0.0) for layer in net.layers]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_same_maps_as_the_pre_training_network():
    net = vit(out_indices=(3,), tap_norm=True)
    dense = DenseViT(arch=ARCH, img_size=32, patch_size=8)
    dense.load_state_dict({**net.state_dict(), 'mask_token': dense.mask_token})
    dense.eval()
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(net(images)[0], dense(images)[0])


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        (dict(out_indices=(3, 5, 7, 11)), 'after block 11 .* has 4 blocks .*set out_indices'),
        (dict(out_indices=(2, 1)), 'must be rising'),
        (dict(out_indices=(-1,)), 'must be rising'),
        (
            dict(load_rule='offset'),
            "load_rule='offset' must be one of 'factor', 'size'",
        ),
        (dict(arch='vit-s'), "no architecture 'vit-s'"),
    ],
)
def test_taps_that_the_backbone_does_not_have_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        vit(**changes)

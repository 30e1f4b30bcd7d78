"""DenseViT against the official iBOT-D backbone, and its own contracts."""

import pytest
import torch

from mmdssl.conversion.official_ibot import backbone_from_official
from mmdssl.models.backbones.dense_vit import DenseViT
from mmdssl.models.backbones.position_embedding import resize_position_embedding
from tests.golden import Golden, assert_close


def build(golden: Golden, dtype: torch.dtype = torch.float32) -> DenseViT:
    width = golden.number('cfg_embed_dim')
    vit = DenseViT(
        arch=dict(
            embed_dims=width,
            num_layers=golden.number('cfg_depth'),
            num_heads=golden.number('cfg_num_heads'),
            feedforward_channels=len(golden['state/blocks.0.mlp.fc1.bias']),
        ),
        img_size=golden.number('cfg_img_size'),
        patch_size=golden.number('cfg_patch_size'),
    )
    result = vit.load_state_dict(backbone_from_official(golden.sub('state/')), strict=True)
    assert not result.missing_keys
    return vit.to(dtype)


@pytest.fixture(scope='module')
def golden(shared) -> Golden:
    return Golden.load(shared('golden/ibot_vit.npz'))


@pytest.mark.golden
def test_plain_and_masked_tokens_equal_official(golden):
    vit = build(golden)
    assert_close(vit.embed(golden['images'])[0], golden['nomask_tokens_in'], 1e-5)
    assert_close(vit.forward_tokens(golden['images']), golden['nomask_out'], 1e-4)
    mask = golden['mim_mask'] == 1
    assert_close(vit.embed(golden['images'], mask=mask)[0], golden['mim_tokens_in'], 1e-5)
    assert_close(vit.forward_tokens(golden['images'], mask=mask), golden['mim_out'], 1e-4)


@pytest.mark.golden
def test_double_precision_equals_official(golden):
    vit = build(golden, torch.float64)
    out = vit.forward_tokens(golden['images'].double())
    assert_close(out, golden['nomask_out_f64'], 1e-6)


@pytest.mark.golden
def test_background_mixing_and_its_gradients_equal_official(golden):
    vit = build(golden)
    mask, source = golden['dc_mask'], golden['dc_background_batch_index']
    decoupled = golden['dc_is_dc_sample']
    images = golden['dc_images']
    # Ordinary samples take themselves as background, under an empty mask.
    source = torch.where(decoupled, source, torch.arange(len(images)))
    given = dict(mask=mask == 1, background=images[source], background_mask=mask == 2)
    tokens, _ = vit.embed(images, **given)
    assert_close(tokens, golden['dc_tokens_in'], 1e-5)
    out = vit.forward_tokens(images, **given)
    assert_close(out, golden['dc_out'], 1e-4)
    (out * golden['dc_grad_probe']).sum().backward()
    wanted = backbone_from_official(golden.sub('dc_grad/'))
    parameters = dict(vit.named_parameters())
    assert wanted
    for name, gradient in wanted.items():
        assert_close(parameters[name].grad, gradient, 1e-4, name)


@pytest.mark.golden
def test_position_table_follows_the_official_rule(golden):
    vit = build(golden)
    images = golden['other_images']
    tokens, grid = vit.embed(images)
    assert grid == vit.grid_size(images)
    position = tokens - (
        torch.cat((vit.cls_token.expand(len(images), -1, -1), vit.patch_embed(images)[0]), dim=1)
    )
    assert_close(position[:1], golden['other_pos_embed'], 1e-4)
    assert_close(vit.forward_tokens(images), golden['other_out'], 1e-4)


@pytest.mark.golden
def test_the_two_rules_differ_by_what_the_official_ones_differ(golden):
    vit = build(golden)
    images = golden['other_images']
    target = vit.grid_size(images)
    source = tuple(vit.patch_resolution)
    tables = [
        resize_position_embedding(vit.pos_embed, source, target, rule=rule)
        for rule in ('factor', 'size')
    ]
    assert_close(tables[0], golden['other_pos_embed'], 1e-5)
    difference = (tables[1] - golden['other_pos_embed']).abs().max()
    assert_close(difference, golden['other_pos_embed_size_based_max_abs_diff'], 1e-5)
    with pytest.raises(ValueError, match="rule='timm' must be one of"):
        resize_position_embedding(vit.pos_embed, source, target, rule='timm')


@pytest.mark.golden
def test_last_attention_and_taps_equal_official(golden):
    vit = build(golden)
    assert_close(vit.last_attention(golden['images']), golden['attn_last_nomask'], 1e-4)
    last = golden['intermediate_last2_normed'][-1]  # (B, 1+L, C)
    (feature_map,) = vit(golden['images'])
    assert_close(feature_map.flatten(2).transpose(1, 2), last[:, 1:], 1e-4)


def tiny(**kwargs) -> DenseViT:
    arch = dict(embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=48)
    vit = DenseViT(arch=arch, img_size=32, patch_size=8, **kwargs)
    vit.init_weights()
    return vit


def test_mask_token_hides_the_patch():
    vit = tiny()
    images = torch.randn(2, 3, 32, 32)
    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[:, 1, 2] = True
    changed = images.clone()
    changed[:, :, 8:16, 16:24] += 1.0
    assert torch.equal(
        vit.forward_tokens(images, mask=mask), vit.forward_tokens(changed, mask=mask)
    )
    assert not torch.equal(vit.forward_tokens(images), vit.forward_tokens(changed))


@pytest.mark.parametrize('detach', [True, False])
def test_background_gradient_only_when_not_detached(detach):
    vit = tiny()
    images, other = torch.randn(2, 3, 32, 32), torch.randn(2, 3, 32, 32)
    other.requires_grad_()
    everything = torch.ones(2, 4, 4, dtype=torch.bool)
    out = vit.forward_tokens(
        images, background=other, background_mask=everything, detach_background=detach
    )
    out.sum().backward()
    weight = vit.patch_embed.projection.weight.grad
    touched = weight is not None and bool(weight.abs().sum() > 0)
    assert touched is not detach
    assert (other.grad is None) is detach


def test_mask_off_the_patch_grid_is_refused():
    with pytest.raises(ValueError, match='mask_size'):
        tiny().forward_tokens(torch.randn(1, 3, 32, 32), mask=torch.zeros(1, 5, 4, dtype=bool))


def test_loading_resizes_a_table_of_another_size():
    small, large = (
        tiny(),
        DenseViT(
            arch=dict(embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=48),
            img_size=64,
            patch_size=8,
        ),
    )
    large.load_state_dict(small.state_dict())
    images = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(large.forward_tokens(images), small.forward_tokens(images))

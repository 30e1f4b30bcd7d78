"""DINOv2 and DINOv3 against their own code: tokens, maps, masks, gradients, other sizes."""

import pytest
import torch

from mmdssl.conversion.key_maps import translate
from mmdssl.conversion.value_rules import gathered
from mmdssl.models.backbones import TapViT
from mmdssl.models.backbones.position_embedding import resize_position_embedding
from mmdssl.models.utils.attention_foreground import tokens_and_attention
from tests.golden import Golden, assert_close
from tests.models.backbones.dinos import build

V2 = ['dinov2_plain', 'dinov2_reg', 'dinov2_swiglu']
V3 = ['dinov3_mlp', 'dinov3_gated']
pytestmark = pytest.mark.golden


@pytest.fixture(scope='module', params=V2 + V3)
def golden(request, shared):
    return Golden.load(shared(f'golden3/{request.param}.npz'))


@pytest.fixture(scope='module')
def net(golden, tmp_path_factory):
    return build(golden, tmp_path_factory.mktemp('net'))


def sizes(golden):
    return [prefix for prefix in ('', 'other1_', 'other2_') if f'{prefix}images' in golden]


@torch.no_grad()
def test_tokens_of_every_block_at_every_size(golden, net):
    first = 1 + net.registers
    for prefix in sizes(golden):
        images = golden[f'{prefix}images']
        tokens, grid = net.embed(images)
        assert grid == net.grid_size(images) == tuple(golden[f'{prefix}cfg_grid'].tolist())
        assert_close(tokens, golden[f'{prefix}tokens_in'], 1e-5)
        states = list(net.run(tokens, grid))
        assert_close(states[-1], golden[f'{prefix}prenorm'], 1e-4)
        raw = torch.stack([states[0], states[-1]])[:, :, first:]
        assert_close(raw, golden[f'{prefix}inter_raw_patches'], 1e-4)
        normed = net.ln1(torch.stack(states))
        assert_close(normed[:, :, 0], golden[f'{prefix}inter_cls'], 1e-4)
        assert_close(normed[:, :, first:], golden[f'{prefix}inter_patches'], 1e-4)
        if f'{prefix}inter_registers' in golden:
            assert_close(normed[:, :, 1:first], golden[f'{prefix}inter_registers'], 1e-4)
        out = net.forward_tokens(images)
        assert_close(out[:, 0], golden[f'{prefix}cls'], 1e-4)
        assert_close(out[:, 1:], golden[f'{prefix}patches'], 1e-4)
        (last,) = net(images)
        assert torch.equal(last.flatten(2).transpose(1, 2), out[:, 1:])


@torch.no_grad()
def test_double_precision(golden, tmp_path):
    rotary = 'cfg_rope_base' in golden
    net = build(golden, tmp_path)
    if rotary:
        net.rope.source = 'exact'  # the file's are single
    net = net.double()
    for prefix in ('', 'other1_'):
        out = net.forward_tokens(golden[f'{prefix}images'].double())
        # On other grids the official code resamples in single precision.
        bound = 1e-8 if rotary else (3e-6 if prefix else 1e-6)
        assert_close(out[:, 0], golden[f'{prefix}cls_f64'], bound)
        assert_close(out[:, 1:], golden[f'{prefix}patches_f64'], bound)


def test_masked_tokens_and_gradients(golden, tmp_path):
    net = build(golden, tmp_path)
    if net.rope is not None:
        net.rope.source = 'exact'
    net = net.double()
    tokens, grid = net.embed(golden['images'].double(), mask=golden['mask'])
    *_, last = net.run(tokens, grid)
    out = net.ln1(last)
    assert_close(out, golden['masked_out_f64'], 1e-6)
    (out * golden['masked_probe']).sum().backward()
    dialect = 'dinov2' if net.rope is None else 'dinov3'
    wanted = dict(golden.sub('masked_grad/'))
    ours = translate(gathered(wanted, dialect).state, 'vit', dialect, 'ours')
    assert not ours.unknown
    parameters = dict(net.named_parameters())
    for name, gradient in ours.state.items():
        assert_close(parameters[name].grad, gradient, 1e-6, name)
    if net.rope is not None:  # key biases take no part
        bias = parameters['layers.0.attn.qkv.bias'].grad.chunk(3)[1]
        assert not bias.any()


@torch.no_grad()
def test_masks_on_another_grid(golden, net):
    if 'other1_masked_out' not in golden:
        return
    images, mask = golden['other1_images'], golden['other1_mask']
    tokens, grid = net.embed(images, mask=mask)
    *_, last = net.run(tokens, grid)
    assert_close(net.ln1(last), golden['other1_masked_out'], 1e-4)


@torch.no_grad()
def test_attention_and_keys_of_the_last_block(golden, net):
    images = golden['other1_images']
    want = golden['other1_last_attention']
    assert_close(net.last_attention(images), want, 1e-4)
    tokens, attention = tokens_and_attention(net, images)
    assert torch.equal(tokens, net.forward_tokens(images))
    assert_close(attention.flatten(1), want[:, :, 0, 1 + net.registers :].mean(1), 1e-4)
    seen = {}
    last = net.layers[-1].attn
    handles = [last.qkv.register_forward_hook(lambda *call: seen.update(before=call[-1]))]
    if net.rope is not None:
        handles.append(last.turned.register_forward_hook(lambda *c: seen.update(after=c[-1])))
    net.forward_tokens(images)
    for handle in handles:
        handle.remove()
    keys = seen['before'].chunk(3, dim=-1)[1]
    if net.rope is None:
        assert_close(keys, golden['other1_last_keys'], 1e-4)
        return
    assert_close(keys, golden['other1_last_keys_before_rope'], 1e-4)
    turned = seen['after'][1].transpose(1, 2).flatten(2)
    assert_close(turned, golden['other1_last_keys_after_rope'], 1e-4)


@torch.no_grad()
def test_taps_leave_registers_out(golden, tmp_path):
    depth = golden.number('cfg_depth')
    taps = build(golden, tmp_path, TapViT, out_indices=tuple(range(depth)), tap_norm=True)
    for prefix in sizes(golden):
        maps = taps(golden[f'{prefix}images'])
        want = golden[f'{prefix}inter_patches']
        assert [m.shape[2:] == tuple(golden[f'{prefix}cfg_grid'].tolist()) for m in maps]
        for each, state in zip(maps, want, strict=True):
            assert_close(each.flatten(2).transpose(1, 2), state, 1e-4)


@torch.no_grad()
def test_background_is_mixed_at_the_patch_embeddings(golden, net):
    """A cell shows the other image where the mask says so, at its own position."""
    images = golden['images']
    other = images.flip(0)
    grid = tuple(golden['cfg_grid'].tolist())
    whole = torch.ones(len(images), *grid, dtype=torch.bool)
    given = dict(background=other, detach_background=False)
    all_other = net.forward_tokens(images, background_mask=whole, **given)
    assert_close(all_other, net.forward_tokens(other), 1e-6)
    mask = golden['mask']
    mixed = net.embed(images, background_mask=mask, **given)[0][:, 1 + net.registers :]
    one, two = (net.embed(x)[0][:, 1 + net.registers :] for x in (images, other))
    assert torch.equal(mixed, torch.where(mask.flatten(1)[..., None], two, one))


@torch.no_grad()
@pytest.mark.parametrize('name', V2)
def test_the_table_follows_the_rule_of_its_weights(shared, tmp_path, name):
    golden = Golden.load(shared(f'golden3/{name}.npz'))
    net = build(golden, tmp_path)
    antialias = bool(golden.number('cfg_interpolate_antialias'))
    assert net.pos_rule == ('antialias' if antialias else 'factor')
    for prefix in sizes(golden):
        grid = tuple(golden[f'{prefix}cfg_grid'].tolist())
        table = resize_position_embedding(
            net.pos_embed, net.patch_resolution, grid, rule=net.pos_rule
        )
        assert_close(table, golden[f'{prefix}pos_embed'], 1e-5)
    if 'other1_pos_embed_by_size_max_abs_diff' in golden:
        grid = tuple(golden['other1_cfg_grid'].tolist())
        size = resize_position_embedding(net.pos_embed, net.patch_resolution, grid, rule='size')
        off = (size - golden['other1_pos_embed']).abs().max()
        assert off.item() == pytest.approx(golden.number('other1_pos_embed_by_size_max_abs_diff'))


@torch.no_grad()
@pytest.mark.parametrize('net_name', V2)
@pytest.mark.parametrize(('library', 'rule'), [('hf', 'size'), ('timm', 'antialias')])
def test_other_libraries_compute_another_rule_of_the_same_weights(
    shared, tmp_path, net_name, library, rule
):
    golden = Golden.load(shared(f'golden3/{library}_{net_name}.npz'))
    net = build(golden, tmp_path, pos_rule='antialias' if golden.number('cfg_registers') else rule)
    key = 'last_hidden_state' if library == 'hf' else 'features'
    for prefix in sizes(golden):
        want = golden[f'{prefix}{key}']
        want = torch.cat((want[:, :1], want[:, 1 + net.registers :]), dim=1)
        assert_close(net.forward_tokens(golden[f'{prefix}images']), want, 1e-4)


@torch.no_grad()
@pytest.mark.parametrize('net_name', V3)
@pytest.mark.parametrize('library', ['hf', 'timm'])
def test_dinov3_is_the_same_in_libraries(shared, tmp_path, net_name, library):
    golden = Golden.load(shared(f'golden3/{library}_{net_name}.npz'))
    net = build(golden, tmp_path)
    key = 'last_hidden_state' if library == 'hf' else 'features'
    for prefix in sizes(golden):
        want = golden[f'{prefix}{key}']
        want = torch.cat((want[:, :1], want[:, 1 + net.registers :]), dim=1)
        assert_close(net.forward_tokens(golden[f'{prefix}images']), want, 1e-4)


@torch.no_grad()
@pytest.mark.parametrize('net_name', V3)
def test_periods_of_the_file_and_one_draw_a_block(shared, tmp_path, net_name, monkeypatch):
    golden = Golden.load(shared(f'golden3/{net_name}.npz'))
    net = build(golden, tmp_path).double()
    net.rope.periods.copy_(golden['periods_bf16'])
    for prefix in ('', 'other1_'):
        out = net.forward_tokens(golden[f'{prefix}images'].double())
        assert_close(out[:, 0], golden[f'{prefix}bf16periods_cls_f64'], 1e-8)
        assert_close(out[:, 1:], golden[f'{prefix}bf16periods_patches_f64'], 1e-8)
    net.rope.source = 'exact'
    factors = iter(golden['train_rescale_factors_per_block'])
    monkeypatch.setattr(net.rope, 'draws', lambda like: (next(factors), 0.0))
    net.rope.rescale = 2.0
    net.train()
    out = net.forward_tokens(golden['images'].double())
    assert_close(out[:, 0], golden['train_rescale_cls_f64'], 1e-8)
    assert_close(out[:, 1:], golden['train_rescale_patches_f64'], 1e-8)
    assert next(factors, None) is None


@torch.no_grad()
@pytest.mark.parametrize('net_name', V3)
def test_cls_and_registers_of_local_crops_have_their_norm(shared, tmp_path, net_name):
    golden = Golden.load(shared(f'golden3/{net_name}.npz'))
    if 'train_local_cls_f64' not in golden:
        pytest.skip('the network of this file has no norm of local crops')
    net = build(golden, tmp_path, local_cls_norm=True).double()
    net.rope.source = 'exact'
    net.train()
    *_, last = net.run(*net.embed(golden['other1_images'].double()))
    out = net.normed(last, local=True)
    first = 1 + net.registers
    assert_close(out[:, 0], golden['train_local_cls_f64'], 1e-8)
    assert_close(out[:, 1:first], golden['train_local_registers_f64'], 1e-8)
    assert_close(out[:, first:], golden['train_local_patches_f64'], 1e-8)

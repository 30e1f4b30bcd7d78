"""What registers, rotary positions and rules of tables mean for loading, training, fine-tuning."""

import pytest
import torch
from mmpretrain.models.backbones import ConvNeXt
from torch import nn

from mmdssl.conversion.convert import export_backbone, import_weights
from mmdssl.conversion.files import write_weights
from mmdssl.engine.efficiency.compiled_blocks import compile_blocks
from mmdssl.engine.weight_facts import bind_to_model, stated_facts
from mmdssl.models.backbones import DenseViT, SinCosViT, TapViT
from mmdssl.models.utils.backbone_weights import load_backbone
from mmdssl.models.utils.frozen_teacher import FrozenTeacher
from tests.conversion.nets import VIT, checkpoint, dinov2, dinov3
from tests.golden import Golden, assert_close
from tests.models.tiny import tiny_batch, tiny_ibot
from tests.models.tiny_leopart import leopart_batch, tiny_leopart

NETS = {'dinov2': dinov2, 'dinov3': dinov3}
V2 = dict(layer_scale_init_value=1.0, registers=3)
V3 = dict(layer_scale_init_value=1.0, registers=3, rope=dict(rescale=2.0), ffn='gated')


def images(side=32):
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))


def saved(net, folder, **meta):
    path = folder / 'net.pth'
    state = {f'backbone.{name}': value for name, value in net.state_dict().items()}
    torch.save(dict(meta=meta, state_dict=state), path)
    return path


@pytest.mark.parametrize('build', NETS.values(), ids=NETS)
def test_tokens_of_the_input_are_of_layer_zero(build):
    net = build()
    depths = {name: net.get_layer_depth(name)[0] for name, _ in net.named_parameters()}
    at_input = ('cls_token', 'register_tokens', 'mask_token', 'pos_embed')
    for name, depth in depths.items():
        head = name.split('.')[0]
        want = 0 if head in (*at_input, 'patch_embed') else net.num_layers + 1
        want = 1 + int(name.split('.')[1]) if head == 'layers' else want
        assert depth == want, name
    assert net.get_layer_depth('backbone.register_tokens', 'backbone.') == (0, 4)
    assert net.get_layer_depth('head.register_tokens', 'backbone.') == (3, 4)


@pytest.mark.parametrize('build', NETS.values(), ids=NETS)
def test_fresh_networks_learn_in_every_part(build):
    net = build()
    net.init_weights()
    assert net.register_tokens.std() > 0.01
    assert not net.mask_token.any()
    net.train()
    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[:, 0] = True
    tokens = net.forward_tokens(images(), mask=mask)
    (tokens**2 * torch.arange(24)).mean().backward()
    assert not [n for n, p in net.named_parameters() if p.grad is None]


def test_local_crops_have_a_norm_of_their_own_in_training_alone():
    net = dinov3(local_cls_norm=True)
    *_, last = net.run(*net.embed(images()))
    plain, first = net.ln1(last), 1 + net.registers
    own = torch.nn.functional.layer_norm(
        last, (24,), net.local_cls_norm.weight, net.local_cls_norm.bias, 1e-5
    )
    assert torch.equal(net.normed(last, local=True), plain)
    net.train()
    assert torch.equal(net.normed(last), plain)
    local = net.normed(last, local=True)
    assert_close(local[:, :first], own[:, :first], 1e-6)
    assert torch.equal(local[:, first:], plain[:, first:])
    assert torch.equal(net.forward_tokens(images(), local=True)[:, 0], local[:, 0])
    assert net.get_layer_depth('local_cls_norm.weight') == (3, 4)


def test_of_ibots_views_the_local_ones_alone_take_their_norm():
    plain = tiny_ibot()
    given = dict(
        arch=dict(plain.backbone.arch_settings),
        img_size=tuple(plain.backbone.img_size),
        patch_size=plain.backbone.patch_size,
    )
    host = tiny_ibot(backbone=dict(type='DenseViT', **given, **V3, local_cls_norm=True)).train()
    seen = []
    host.backbone.local_cls_norm.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    host.loss(tiny_batch())
    assert not seen
    losses = host.loss(tiny_batch(local=2))
    (tokens,) = seen
    assert tokens.shape[:2] == (2 * 8, 1 + V3['registers'])
    losses['loss_cls'].backward()
    assert host.backbone.local_cls_norm.weight.grad.abs().sum() > 0


def test_images_that_are_no_whole_patches_are_refused():
    for kind in (DenseViT, TapViT):
        net = kind(**VIT, **({'out_indices': (1,)} if kind is TapViT else {}))
        with pytest.raises(
            ValueError, match=r'images of 30 x 32 pixels .* patch size 8: .*24 x 32'
        ):
            net(torch.randn(1, 3, 30, 32))
    with pytest.raises(ValueError, match=r'img_size 224 x 224 .* patch size 15'):
        DenseViT(img_size=224, patch_size=15)


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(registers=-1), 'registers=-1'),
        (dict(ffn='swiglu'), "ffn='swiglu' must be 'mlp' or 'gated'"),
        (dict(pos_rule='bicubic'), "pos_rule='bicubic' must be one of"),
        (dict(pos_rule='size', rope=dict()), 'rope has none'),
        (dict(key_bias=False), 'key_bias=False is for rope'),
        (dict(rope=dict(), layer_cfgs=dict()), 'layer_cfgs is not for'),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        DenseViT(**VIT, **settings)
    with pytest.raises(ValueError, match='SinCosViT has no registers'):
        SinCosViT(**VIT, registers=1)


def test_the_gated_mlp_has_stochastic_depth_and_the_width_of_the_rule():
    net = DenseViT(**VIT, ffn='gated', drop_path_rate=0.5)
    assert net.layers[1].ffn.w12.weight.shape == (64, 24)  # 48 * 2 / 3 = 32 gates, 32 values
    assert net.layers[1].ffn.dropout_layer.drop_prob == pytest.approx(0.5)
    net.train()
    tokens = torch.randn(200, 3, 24)
    branch = net.layers[1].ffn(tokens) - tokens
    dropped = (branch.abs().sum((1, 2)) == 0).float().mean()
    assert 0.35 < dropped < 0.65


def test_frozen_stages_hold_registers():
    net = DenseViT(**VIT, **V2, frozen_stages=2)
    assert not [n for n, p in net.named_parameters() if p.requires_grad and n != 'mask_token']


def test_a_key_bias_changes_something_only_where_it_is_allowed():
    free, masked = dinov3(key_bias=True), dinov3()
    assert not torch.equal(free.forward_tokens(images()), masked.forward_tokens(images()))
    for net in (free, masked):
        for layer in net.layers:
            layer.attn.qkv.bias.data[24:48] = 0
    assert_close(free.forward_tokens(images()), masked.forward_tokens(images()), 1e-6)


def test_files_without_periods_keep_those_of_the_config(tmp_path):
    net = dinov3()
    state = {name: value for name, value in net.state_dict().items() if name != 'rope.periods'}
    other = DenseViT(**VIT, layer_scale_init_value=1.0, registers=4, rope=dict(), ffn='gated')
    other.load_state_dict(state, strict=True)
    other.eval()
    assert torch.equal(other.forward_tokens(images()), net.forward_tokens(images()))


def test_the_rule_of_the_table_comes_with_the_file(tmp_path):
    source = dinov2(registers=0, pos_rule='size')
    path = saved(source, tmp_path, pos_rule='size')
    settings = dict(VIT, layer_scale_init_value=1.0)
    plain, own = DenseViT(**settings), DenseViT(**settings, pos_rule='factor')
    assert plain.pos_rule == 'factor'
    for net in (plain, own):
        load_backbone(net, path)
        net.eval()
    large = images(48)
    assert torch.equal(plain.forward_tokens(large), source.forward_tokens(large))
    assert not torch.equal(own.forward_tokens(large), source.forward_tokens(large))
    # A run takes it over, with the teacher, and hands it on.
    init = dict(type='mmdssl.PretrainedBackbone', checkpoint=str(path))
    host = tiny_ibot(backbone=dict(type='DenseViT', **settings, init_cfg=init))
    assert host.backbone.pos_rule == host.teacher.backbone.pos_rule == 'size'
    facts = stated_facts(host)
    assert facts == dict(pos_rule='size')
    fresh = tiny_ibot(backbone=dict(type='DenseViT', **settings))
    assert stated_facts(fresh) == dict(pos_rule='factor')
    bind_to_model(fresh, facts)
    assert fresh.backbone.pos_rule == fresh.teacher.backbone.pos_rule == 'size'


def test_licence_goes_through_a_run_into_its_export(tmp_path):
    out = export_backbone(checkpoint(tmp_path / 'a.pth', dinov3(), dinov3()), to='dinov3')
    torch.save(out.state, tmp_path / 'theirs.pth')
    imported = import_weights(tmp_path / 'theirs.pth')
    write_weights(imported.state, imported.meta, tmp_path / 'ours.pth')
    init = dict(type='mmdssl.PretrainedBackbone', checkpoint=str(tmp_path / 'ours.pth'))
    settings = dict(VIT, layer_scale_init_value=1.0, registers=4, rope=dict(), ffn='gated')
    host = tiny_ibot(backbone=dict(type='DenseViT', **settings, init_cfg=init))
    assert torch.equal(host.backbone.cls_token, imported.state['backbone.cls_token'])
    run = dict(meta=stated_facts(host), state_dict=host.state_dict())
    torch.save(run, tmp_path / 'run.pth')
    result = export_backbone(tmp_path / 'run.pth', to='timm')
    assert result.meta['licence'] == imported.meta['licence']
    assert result.meta['weights_origin'] == 'DINOv3'


@pytest.mark.parametrize('settings', [V2, V3], ids=NETS)
@pytest.mark.parametrize(
    ('build', 'make'), [(tiny_ibot, tiny_batch), (tiny_leopart, leopart_batch)], ids=['iBOT', 'LP']
)
def test_hosts_with_the_branch_train_such_backbones(build, make, settings):
    branch = dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.5)
    plain = build()
    given = dict(
        arch=dict(plain.backbone.arch_settings),
        img_size=tuple(plain.backbone.img_size),
        patch_size=plain.backbone.patch_size,
    )
    host = build(decoupling=branch, backbone=dict(type='DenseViT', **given, **settings)).train()
    assert not host.teacher.training
    losses = host.loss(make())
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert all(torch.isfinite(value).all() for value in losses.values())
    gradient = host.backbone.register_tokens.grad
    assert gradient.abs().sum() > 0


def test_a_frozen_teacher_shows_patches_alone():
    for build in NETS.values():
        net = build()
        seen = FrozenTeacher(backbone=net)(images())
        states = list(net.run(*net.embed(images())))
        for hidden, state in zip(seen.hidden, states, strict=True):
            assert torch.equal(hidden, net.without_registers(state))
        assert_close(seen.importance, net.last_attention(images())[:, :, 0, 5:].mean(1), 1e-5)


def test_compiled_blocks_are_handed_their_tables(monkeypatch):
    monkeypatch.setattr(torch, 'compile', lambda function, **_: function)
    net = dinov3(ffn='mlp')
    want = net.forward_tokens(images())
    assert compile_blocks(net) == 2
    assert_close(net.forward_tokens(images()), want, 1e-6)
    assert FrozenTeacher(backbone=net)(images()).importance.shape == (2, 16)  # listens


@pytest.mark.golden
@torch.no_grad()
def test_convnexts_of_dinov3_are_mmpretrains(shared, tmp_path):
    golden = Golden.load(shared('golden3/dinov3_convnext.npz'))
    torch.save(dict(golden.sub('state/')), tmp_path / 'theirs.pth')
    state = import_weights(tmp_path / 'theirs.pth').state
    state = {name.removeprefix('backbone.'): value for name, value in state.items()}
    arch = dict(depths=golden['cfg_depths'].tolist(), channels=golden['cfg_dims'].tolist())
    norm = dict(type='LN2d', eps=golden.number('cfg_norm_eps'))
    maps = ConvNeXt(arch=arch, norm_cfg=norm, gap_before_final_norm=False)
    pooled = ConvNeXt(arch=arch, norm_cfg=norm)
    stages = ConvNeXt(arch=arch, out_indices=(0, 1, 2, 3), gap_before_final_norm=False)
    for net in (maps, pooled):
        net.load_state_dict(state, strict=True)
        net.eval()
    missing, unexpected = stages.load_state_dict(state, strict=False)
    assert not unexpected
    assert {name[:5] for name in missing} == {'norm0', 'norm1', 'norm2'}
    for index in range(4):
        setattr(stages, f'norm{index}', nn.Identity())
    stages.eval()
    for prefix in ('', 'other1_'):
        if f'{prefix}images' not in golden:
            continue
        given = golden[f'{prefix}images']
        assert_close(maps(given)[0].flatten(2).transpose(1, 2), golden[f'{prefix}patches'], 1e-4)
        assert_close(pooled(given)[0], golden[f'{prefix}cls'], 1e-4)
        for index, stage in enumerate(stages(given)):
            assert_close(stage, golden[f'{prefix}stage{index}_map'], 1e-4)

"""Adapters to timm and transformers against networks of ours with the same weights."""

import sys
import types

import pytest
import torch
from safetensors.torch import save_file

from mmdssl.conversion.convert import export_backbone, import_weights
from mmdssl.conversion.files import write_weights
from mmdssl.engine.weight_facts import stated_facts
from mmdssl.models.backbones import HFBackbone, TimmBackbone
from mmdssl.registry import MODELS
from tests.conversion.nets import VIT, checkpoint, dinov2, dinov3
from tests.golden import assert_close
from tests.models.tiny import tiny_batch, tiny_ibot

TIMM = dict(img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3)
HF = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, patch_size=8, image_size=32)
NETS = {
    'v2': (
        lambda: dinov2(registers=0),
        dict(name='vit_small_patch14_dinov2', mlp_ratio=2, **TIMM),
        dict(model_type='dinov2', mlp_ratio=2, **HF),
    ),
    'v2 with registers': (
        dinov2,
        dict(name='vit_small_patch14_reg4_dinov2', mlp_ratio=2, **TIMM),
        dict(model_type='dinov2_with_registers', num_register_tokens=4, mlp_ratio=2, **HF),
    ),
    'v3': (
        dinov3,
        dict(name='vit_small_plus_patch16_dinov3_qkvb', mlp_ratio=4 / 3, **TIMM),
        dict(
            model_type='dinov3_vit',
            num_register_tokens=4,
            intermediate_size=32,
            use_gated_mlp=True,
            hidden_act='silu',
            key_bias=False,
            layer_norm_eps=1e-5,
            **HF,
        ),
    ),
}


def images(side=32):
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))


def exported(net, to, folder):
    result = export_backbone(checkpoint(folder / 'run.pth', net, net), to=to)
    path = folder / 'theirs.safetensors'
    save_file({n: v.contiguous() for n, v in result.state.items()}, path, {'format': 'pt'})
    return str(path)


def compare(seen, net, given):
    states = list(net.run(*net.embed(given)))
    last = net.ln1(states[-1])
    first = 1 + net.registers
    assert (seen.prefix, seen.stride, seen.normed) == (first, (8, 8), True)
    assert_close(seen.cls, last[:, 0], 1e-4)
    assert_close(seen.patches[-1].flatten(2).mT, last[:, first:], 1e-4)
    if net.registers:
        assert_close(seen.registers, last[:, 1:first], 1e-4)
    else:
        assert seen.registers is None


@torch.no_grad()
@pytest.mark.parametrize('kind', NETS)
def test_timm_gives_what_our_network_gives(kind, tmp_path):
    pytest.importorskip('timm')
    build, settings, _ = NETS[kind]
    net = build()
    adapter = TimmBackbone(checkpoint=exported(net, 'timm', tmp_path), **settings)
    compare(adapter.tokens(images()), net, images())
    if kind == 'v3':  # the others resample their tables by rules of their own
        compare(adapter.tokens(images(48)), net, images(48))
    with pytest.raises(ValueError, match='patch size 8'):
        adapter(images(44))


@torch.no_grad()
@pytest.mark.parametrize('kind', NETS)
def test_transformers_gives_what_our_network_gives(kind, tmp_path):
    pytest.importorskip('transformers')
    build, _, config = NETS[kind]
    net = build()
    settings = dict(type='HFBackbone', config=config, taps=[0, 1])
    adapter = MODELS.build(dict(settings, checkpoint=exported(net, 'hf', tmp_path)))
    seen = adapter.tokens(images())
    compare(seen, net, images())
    first = next(net.run(*net.embed(images())))[:, 1 + net.registers :]
    assert_close(seen.patches[0].flatten(2).mT, first, 1e-4)
    adapter.registers += 1
    with pytest.raises(ValueError, match='counts its tokens in another way'):
        adapter(images())


@pytest.mark.parametrize('library', ['timm', 'hf'])
@pytest.mark.parametrize('kind', NETS)
def test_a_file_is_trained_further_and_goes_back_into_its_library(kind, library, tmp_path):
    pytest.importorskip('timm' if library == 'timm' else 'transformers')
    build, timm, config = NETS[kind]
    start = build()
    file = exported(start, library, tmp_path)
    imported = import_weights(file)
    write_weights(imported.state, imported.meta, tmp_path / 'ours.pth')
    init = dict(type='mmdssl.PretrainedBackbone', checkpoint=str(tmp_path / 'ours.pth'))
    settings = dict(VIT, layer_scale_init_value=1.0, registers=start.registers, init_cfg=init)
    if start.rope is not None:
        settings |= dict(rope=dict(rescale=2.0), ffn='gated')
    branch = dict(type='DecouplingBranch', weight=0.3, sample_ratio=0.5)
    host = tiny_ibot(backbone=dict(type='DenseViT', **settings), decoupling=branch).train()
    assert torch.equal(host.teacher.backbone.layers[1].ln2.weight, start.layers[1].ln2.weight)
    optimizer = torch.optim.SGD(host.parameters(), lr=0.05)
    for seed in range(3):
        losses = host.loss(tiny_batch(seed=seed))
        optimizer.zero_grad()
        sum(value for name, value in losses.items() if 'loss' in name).backward()
        optimizer.step()
        host.update_teacher()
    moved = host.backbone.layers[1].ln2.weight - start.layers[1].ln2.weight
    assert moved.abs().max() > 1e-6
    run = dict(meta=stated_facts(host), state_dict=host.state_dict())
    torch.save(run, tmp_path / 'run.pth')
    result = export_backbone(tmp_path / 'run.pth', to=library, what='student')
    assert result.meta.get('licence') == imported.meta.get('licence')
    write_weights(result.state, result.meta, tmp_path / 'back.safetensors')
    given = dict(checkpoint=str(tmp_path / 'back.safetensors'))
    adapter = (
        TimmBackbone(**timm, **given) if library == 'timm' else HFBackbone(config=config, **given)
    )
    net = host.backbone
    net.eval()
    with torch.no_grad():
        compare(adapter.tokens(images()), net, images())


@torch.no_grad()
def test_timms_convolutional_networks_have_maps_alone():
    pytest.importorskip('timm')
    seen = TimmBackbone(name='resnet18', taps=[3, 4]).tokens(images(64))
    assert [m.shape[-1] for m in seen.patches] == [4, 2]
    assert (seen.cls, seen.prefix, seen.stride) == (None, 0, (32, 32))
    with pytest.raises(ValueError, match="no network 'resnet17'"):
        TimmBackbone(name='resnet17')


def test_transformers_5_and_absent_libraries_are_told(monkeypatch):
    monkeypatch.setitem(sys.modules, 'transformers', types.SimpleNamespace(__version__='5.24.0'))
    with pytest.raises(ImportError, match=r'below 5, and 5\.24\.0 is installed'):
        HFBackbone(config=HF)
    monkeypatch.setitem(sys.modules, 'transformers', None)
    with pytest.raises(ImportError, match='needs transformers below 5: pip install'):
        HFBackbone(config=HF)
    monkeypatch.setitem(sys.modules, 'timm', None)
    with pytest.raises(ImportError, match='needs timm: pip install timm'):
        TimmBackbone(name='resnet18')
    with pytest.raises(ValueError, match=r'give name .* or config'):
        HFBackbone()

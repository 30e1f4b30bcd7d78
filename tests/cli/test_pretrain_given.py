"""A file of DINOv2 or DINOv3, of whoever's names: read, trained on photos, and back again."""

import re
from typing import NamedTuple

import pytest
import torch
from safetensors.torch import load_file, save_file

import mmdssl
from mmdssl.cli.pretrain import pretrain
from mmdssl.conversion.convert import export_backbone
from mmdssl.conversion.files import write_weights
from mmdssl.models.backbones import HFBackbone, TimmBackbone
from tests.conversion.nets import checkpoint, dinov2, dinov3
from tests.golden import assert_close
from tests.tiny_scenes import write_tiny_scenes

V2, V3 = dict(patch_size=14, img_size=70), dict(patch_size=16, img_size=64)
HF = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3)
TIMM = dict(embed_dim=24, depth=2, num_heads=3)


class Kind(NamedTuple):
    """A network, its method, and what it is called elsewhere."""

    method: str
    backbone: str
    net: dict
    timm: dict
    hf: dict


KINDS = {
    'v2': Kind(
        'ibot-d',
        'dinov2-small',
        dict(V2, registers=0),
        dict(name='vit_small_patch14_dinov2', mlp_ratio=2),
        dict(model_type='dinov2', mlp_ratio=2),
    ),
    'v2 with registers': Kind(
        'leopart-d',
        'dinov2-reg-small',
        V2,
        dict(name='vit_small_patch14_reg4_dinov2', mlp_ratio=2),
        dict(model_type='dinov2_with_registers', num_register_tokens=4, mlp_ratio=2),
    ),
    'v3': Kind(
        'ibot-d-gram',
        'dinov3-small',
        V3,
        dict(name='vit_small_plus_patch16_dinov3_qkvb', mlp_ratio=4 / 3),
        dict(
            model_type='dinov3_vit',
            num_register_tokens=4,
            intermediate_size=32,
            use_gated_mlp=True,
            hidden_act='silu',
            key_bias=False,
            layer_norm_eps=1e-5,
        ),
    ),
}
ARCH = dict(embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=48)


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    return write_tiny_scenes(tmp_path_factory.mktemp('scenes'), images=80, val_images=2) / 'train'


def official(kind):
    return 'dinov3' if kind == 'v3' else 'dinov2'


def trained(kind, scheme, photos, folder, monkeypatch):
    """The given network, and the checkpoint of 20 iterations that began with its file."""
    known = KINDS[kind]
    net = (dinov3 if kind == 'v3' else dinov2)(**known.net)
    state = export_backbone(checkpoint(folder / 'net.pth', net, net), to=scheme).state
    file = folder / f'theirs-{scheme}.safetensors'
    save_file({name: value.contiguous() for name, value in state.items()}, file, {'format': 'pt'})
    monkeypatch.setenv('XDG_CACHE_HOME', str(folder / 'cache'))
    entries = {
        'views.size': 56 if kind != 'v3' else 64,
        'model.backbone.arch': dict(ARCH, _delete_=True),
        'model.head.in_channels': 24,
        'model.head.hidden_channels': 32,
    }
    if known.method != 'leopart-d':
        entries['model.head.out_channels'] = 64
    if kind == 'v3':
        entries['model.backbone.ffn'] = 'gated'
    else:
        entries['model.backbone.img_size'] = 70
    asked = dict(init=str(file), backbone=known.backbone, epochs=1, batch=4, workers=0)
    last = pretrain(known.method, data=photos, out=folder / 'run', **asked, **entries)
    return net, last


@pytest.fixture(
    scope='module', params=[('v2', 'hf'), ('v2 with registers', 'dinov2'), ('v3', 'timm')]
)
def run(request, photos, tmp_path_factory):
    kind, scheme = request.param
    with pytest.MonkeyPatch.context() as patch:
        return kind, *trained(kind, scheme, photos, tmp_path_factory.mktemp('run'), patch)


def images(kind):
    side = KINDS[kind].net['img_size']
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))


def exported(last, to):
    """The file of a run under other names."""
    path = last.with_name(f'{to}.safetensors')
    result = export_backbone(last, to=to)
    assert result.coverage == 1
    write_weights(result.state, result.meta, path)
    return str(path)


def check_run(kind, net, last):
    """It began with the net and has moved; what is known of the weights came along."""
    log = next(last.parent.glob('*/*.log')).read_text()
    count = len(net.state_dict())
    found = re.search(r' \(not in it: ([^)]*)\)', log)  # timm's has no mask token, nor periods
    without = found[1].split(', ') if found else []
    assert set(without) <= {'mask_token', 'rope.periods'}
    assert f'{count - len(without)} of {count} tensors from' in log
    assert 'head: new; ' in log
    assert ('branches.gram: a copy of the teacher of iteration 0' in log) == (kind == 'v3')
    content = torch.load(last, weights_only=True)
    assert content['meta']['iter'] == 20
    own = content['state_dict']['backbone.layers.1.attn.qkv.weight']
    moved = (own - net.layers[1].attn.qkv.weight).abs().max()
    assert 0 < moved < 0.05
    # Names of timm's plain class are not DINOv2's alone.
    licence = content['meta'].get('licence', 'DINOv2' if without else '')
    assert f'DINOv{official(kind)[-1]}' in licence


def test_twenty_iterations_begin_with_the_file_and_move_it(run):
    check_run(*run)


def test_the_own_code_of_the_weights_gets_all_its_tensors_back(run):
    kind, net, last = run
    to = official(kind)
    state = load_file(exported(last, to))
    want = export_backbone(checkpoint(last.with_name('net.pth'), net, net), to=to).state
    shapes = {name: value.shape for name, value in want.items()}
    assert {name: value.shape for name, value in state.items()} == shapes
    if 'registers' in kind:  # Leopart uses no mask token
        assert torch.equal(state['mask_token'], want['mask_token'])


@torch.no_grad()
@pytest.mark.parametrize('library', ['timm', 'transformers'])
def test_features_are_the_same_in_the_class_of_the_library(run, library):
    pytest.importorskip(library)
    kind, _, last = run
    known, patch = KINDS[kind], KINDS[kind].net['patch_size']
    net = mmdssl.load_backbone(last, device='cpu').backbone
    if library == 'timm':
        sizes = dict(img_size=known.net['img_size'], patch_size=patch)
        given = {**TIMM, **known.timm, **sizes}
        adapter = TimmBackbone(checkpoint=exported(last, 'timm'), **given)
    else:
        sizes = dict(image_size=known.net['img_size'], patch_size=patch)
        adapter = HFBackbone(checkpoint=exported(last, 'hf'), config={**HF, **known.hf, **sizes})
    seen = adapter.tokens(images(kind))
    *_, last = net.run(*net.embed(images(kind)))
    last, first = net.ln1(last), 1 + net.registers
    assert_close(seen.cls, last[:, 0], 1e-4)
    assert_close(seen.patches[-1].flatten(2).mT, last[:, first:], 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('kind', 'scheme'),
    [
        ('v2', 'dinov2'),
        ('v2', 'timm'),
        ('v2 with registers', 'hf'),
        ('v2 with registers', 'timm'),
        ('v3', 'dinov3'),
        ('v3', 'hf'),
    ],
)
def test_the_other_schemes_are_read_as_well(kind, scheme, photos, tmp_path, monkeypatch):
    check_run(kind, *trained(kind, scheme, photos, tmp_path, monkeypatch))

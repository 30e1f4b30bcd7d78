"""The adapter to torchvision: the library's own maps, counted tokens, whole files."""

import pytest
import torch
from torchvision.models import VisionTransformer
from torchvision.models.feature_extraction import create_feature_extractor

from mmdssl.evaluation.features import dense_map
from mmdssl.evaluation.measure import removal_for
from mmdssl.models.backbones import TorchvisionBackbone, torchvision_backbone
from mmdssl.models.backbones.measured import as_maps
from mmdssl.registry import MODELS
from tests.golden import assert_close

LAST = {'resnet18': 'layer4', 'mobilenet_v2': 'features', 'swin_t': 'permute'}


def images(height=64, width=64):
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def vit(monkeypatch):
    """A ViT of torchvision that is small: its builders know large ones only."""

    def small(name, *, weights):
        return VisionTransformer(
            image_size=64, patch_size=16, num_layers=3, num_heads=2, hidden_dim=32, mlp_dim=64
        )

    monkeypatch.setattr(torchvision_backbone, 'get_model', small)
    torch.manual_seed(0)
    return TorchvisionBackbone


@torch.no_grad()
@pytest.mark.parametrize('name', LAST)
def test_maps_are_those_of_the_library(name):
    torch.manual_seed(0)
    adapter = MODELS.build(dict(type='TorchvisionBackbone', name=name))
    want = create_feature_extractor(adapter.wrapped, [LAST[name]])(images())[LAST[name]]
    seen = adapter.tokens(images())
    assert want.std() > 0
    assert torch.equal(seen.patches[-1], want)
    assert (seen.cls, seen.registers, seen.prefix, seen.stride) == (None, None, 0, (32, 32))
    assert seen.normed == (name == 'swin_t')
    assert torch.equal(adapter(images())[-1], want)
    assert not adapter.training
    assert not adapter.with_weights
    assert removal_for(adapter) == dict(remove='shrink')
    if name == 'resnet18':  # O-KNN's rule for ResNets reaches it
        assert dense_map(adapter, images()).shape[-2:] == (4, 4)
        assert torch.equal(dense_map(adapter, images()), dense_map(adapter.wrapped, images()))


@torch.no_grad()
def test_tokens_of_the_vit_are_those_of_the_library_at_every_size(vit):
    adapter = vit(name='vit_b_16', taps=[0, 2])
    net = adapter.wrapped
    net.encoder.pos_embedding.data.normal_()
    nodes = {'encoder.layers.encoder_layer_0': 'first', 'encoder.ln': 'last'}
    want = create_feature_extractor(net, nodes)(images())
    seen = adapter.tokens(images())
    for tap, key in zip(seen.patches, ('first', 'last'), strict=True):
        assert_close(tap.flatten(2).mT, want[key][:, 1:], 1e-6)
    assert_close(seen.cls, want['last'][:, 0], 1e-6)
    assert (seen.prefix, seen.stride, seen.normed) == (1, (16, 16), True)
    assert removal_for(adapter) == dict(remove='patches', patch_size=16)
    wide = adapter.tokens(images(48, 96))
    assert wide.patches[-1].shape == (2, 32, 3, 6)
    # At its own size the table is as it is; a constant table is constant at any.
    net.encoder.pos_embedding.data[:] = 0.5
    tokens = net.conv_proj(images(48, 96)).flatten(2).mT
    x = torch.cat((net.class_token.expand(2, -1, -1), tokens), dim=1) + 0.5
    for block in net.encoder.layers:
        x = block(x)
    assert_close(adapter(images(48, 96))[-1].flatten(2).mT, net.encoder.ln(x)[:, 1:], 1e-5)
    with pytest.raises(ValueError, match=r'images of 50 x 64 pixels .* patch size 16'):
        adapter(images(50, 64))


def test_tokens_that_do_not_fill_the_grid_are_refused():
    with pytest.raises(ValueError, match=r'x gives 18 tokens, 1 of them not patches.* 4 x 4'):
        as_maps(torch.zeros(1, 18, 3), 1, (4, 4), 'x')


def test_files_are_whole_or_refused(tmp_path):
    torch.manual_seed(0)
    state = TorchvisionBackbone(name='resnet18').wrapped.state_dict()
    file = tmp_path / 'net.pth'
    torch.save({n: v for n, v in state.items() if not n.startswith('fc.')}, file)
    adapter = TorchvisionBackbone(name='resnet18', checkpoint=str(file))
    assert adapter.with_weights
    loaded = adapter.wrapped.state_dict()
    assert all(torch.equal(loaded[n], v) for n, v in state.items() if not n.startswith('fc.'))
    with pytest.raises(ValueError, match=r'not of TorchvisionBackbone\(mobilenet_v2\): 2\d\d of'):
        TorchvisionBackbone(name='mobilenet_v2', checkpoint=str(file))
    state['conv1.weight'] = state['conv1.weight'][:, :1]
    torch.save(state, file)
    with pytest.raises(ValueError, match=r'1 tensors have another shape \(conv1\.weight\)'):
        TorchvisionBackbone(name='resnet18', checkpoint=str(file))


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(name='resnet17'), "no network 'resnet17'"),
        (dict(name='resnet18', taps=['layer9']), "has no module 'layer9': name one of it, like"),
        (dict(name='resnet18', taps=['fc']), "module 'fc' gives no map"),
        (dict(name='resnet18', pretrained=True, checkpoint='x'), 'not both'),
    ],
)
def test_what_does_not_exist_is_told(settings, words):
    with pytest.raises(ValueError, match=words):
        TorchvisionBackbone(**settings)(images())

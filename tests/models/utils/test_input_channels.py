"""RGB weights serve n channels: equal channels get the response that grey pictures had."""

import pytest
import torch
from mmpretrain.models.backbones import ConvNeXt, ResNet

from mmdssl.conversion.backbone_config import backbone_config
from mmdssl.conversion.convert import export_backbone, import_weights
from mmdssl.conversion.files import write_weights
from mmdssl.core.reading import load_checkpoint_file
from mmdssl.models.backbones import DenseViT
from mmdssl.models.utils import input_channels
from mmdssl.models.utils.backbone_weights import load_backbone
from mmdssl.models.utils.pretrained import load_part
from mmdssl.registry import MODELS

ARCH = dict(embed_dims=64, num_layers=2, num_heads=1, feedforward_channels=96)
NETS = {
    'vit': lambda **more: DenseViT(arch=ARCH, img_size=32, patch_size=8, **more),
    'resnet': lambda **more: ResNet(depth=18, stem_channels=8, base_channels=8, **more),
    'deep stem': lambda **more: ResNet(
        depth=18, stem_channels=8, base_channels=8, deep_stem=True, **more
    ),
    'convnext': lambda **more: ConvNeXt(
        arch=dict(depths=[1, 1, 1, 1], channels=[8, 8, 8, 8]), gap_before_final_norm=False, **more
    ),
}


@pytest.fixture(params=NETS)
def kind(request):
    return request.param


@pytest.fixture
def lines(monkeypatch):
    said = []
    monkeypatch.setattr(input_channels, 'print_log', lambda text, **_: said.append(text))
    return said


def saved(path, net):
    net.init_weights()
    torch.save({f'backbone.{name}': value for name, value in net.state_dict().items()}, path)
    return path


@pytest.mark.parametrize('channels', [1, 2, 5])
@pytest.mark.parametrize('load', [load_part, load_backbone])
def test_equal_channels_give_the_response_they_gave(kind, channels, load, tmp_path, lines):
    rgb, net = NETS[kind](), NETS[kind](in_channels=channels)
    load(net, saved(tmp_path / 'rgb.pth', rgb))
    for one in (rgb, net):
        one.eval()
    grey = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        wanted = rgb(grey.expand(-1, 3, -1, -1))[-1]
        found = net(grey.expand(-1, channels, -1, -1))[-1]
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    assert len(lines) == 1
    assert f'spread over {channels} channels' in lines[0]
    assert 'rgb.pth' in lines[0]


def test_three_channels_are_taken_as_they_are(kind, tmp_path, lines):
    rgb, net = NETS[kind](), NETS[kind]()
    load_part(net, saved(tmp_path / 'rgb.pth', rgb))
    assert all(value.equal(net.state_dict()[name]) for name, value in rgb.state_dict().items())
    assert not lines


def test_five_channels_do_not_become_three(kind, tmp_path, lines):
    path = saved(tmp_path / 'five.pth', NETS[kind](in_channels=5))
    with pytest.raises(ValueError, match=r'five\.pth does not fit'):
        load_part(NETS[kind](), path)
    assert not lines


@pytest.mark.parametrize('kind', ['vit', 'resnet', 'convnext'])
def test_five_channels_leave_the_package_and_come_back(kind, tmp_path):
    net = NETS[kind](in_channels=5)
    path = saved(tmp_path / 'five.pth', net)
    out = export_backbone(path, to='timm')
    assert out.coverage == 1
    assert any('it takes images of 5 channels' in note for note in out.notes)
    write_weights(out.state, out.meta, tmp_path / 'timm.pth')
    back = import_weights(tmp_path / 'timm.pth', source='timm')
    assert back.coverage == 1
    mine = {n.removeprefix('backbone.'): v for n, v in back.state.items()}
    first = next(name for name in mine if name in input_channels._FIRST)
    assert torch.equal(mine[first], net.state_dict()[first])


@pytest.mark.parametrize('kind', ['vit', 'resnet', 'convnext'])
def test_a_file_tells_its_channels(kind, tmp_path):
    path = saved(tmp_path / 'five.pth', NETS[kind](in_channels=5))
    state = load_checkpoint_file(path)
    own = {name.removeprefix('backbone.'): value for name, value in state.items()}
    settings = backbone_config(own, path)
    assert settings['in_channels'] == 5
    load_part(MODELS.build(settings), path)


def test_rgb_files_say_nothing_of_channels(tmp_path):
    path = saved(tmp_path / 'rgb.pth', NETS['vit']())
    out = export_backbone(path, to='timm')
    assert not any('channels' in note for note in out.notes)
    own = {n.removeprefix('backbone.'): v for n, v in load_checkpoint_file(path).items()}
    assert 'in_channels' not in backbone_config(own, path)

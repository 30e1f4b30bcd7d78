"""Parts of a detector start from a file by value, or say why they cannot."""

import pytest
import torch
from mmengine.model import BaseModule
from mmengine.model import ModuleList as BaseModuleList
from mmengine.model.weight_init import initialize
from mmpretrain.models.backbones import ResNet
from mmpretrain.registry import MODELS as PRETRAIN
from torch import nn

from mmdssl.conversion.convert import export_backbone
from mmdssl.conversion.files import write_weights
from mmdssl.models.backbones import DenseViT, TapViT
from mmdssl.models.utils.pretrained import load_part
from mmdssl.registry import MODELS

ARCH = dict(embed_dims=24, num_layers=4, num_heads=3, feedforward_channels=48)
VIT = dict(arch=ARCH, patch_size=8)


@pytest.fixture
def vit_run(tmp_path):
    """A checkpoint as a run of iBOT leaves it."""
    student, teacher = (DenseViT(img_size=32, **VIT) for _ in range(2))
    for net in (student, teacher):
        net.init_weights()
    state = {f'backbone.{n}': v for n, v in student.state_dict().items()}
    state |= {f'teacher.backbone.{n}': v for n, v in teacher.state_dict().items()}
    path = tmp_path / 'iter_1.pth'
    torch.save(dict(meta=dict(evaluated_backbone='teacher'), state_dict=state), path)
    return path, teacher


@pytest.fixture
def resnet_run(tmp_path):
    net = ResNet(depth=18, stem_channels=8, base_channels=8)
    net.init_weights()
    for tensor in net.state_dict().values():
        if tensor.dtype.is_floating_point:
            tensor.copy_(torch.rand_like(tensor))
    path = tmp_path / 'iter_1.pth'
    torch.save({f'backbone.{n}': v for n, v in net.state_dict().items()}, path)
    return path, net


def exported(path, **options):
    target = path.with_name('exported.pth')
    converted = export_backbone(path, to='mmdet', **options)
    write_weights(converted.state, converted.meta, target)
    return target


@pytest.mark.parametrize('convert', [False, True])
@pytest.mark.parametrize('kind', ['Pretrained', 'mmdssl.PretrainedBackbone'])
def test_a_tapped_vit_is_the_teacher_to_the_bit(vit_run, convert, kind):
    path, teacher = vit_run
    path = exported(path) if convert else path
    net = MODELS.build(
        dict(
            type='TapViT',
            img_size=32,
            out_indices=(0, 1, 2, 3),
            tap_norm=True,
            init_cfg=dict(type=kind, checkpoint=str(path)),
            **VIT,
        )
    )
    net.init_weights()
    kept = teacher.state_dict()
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, kept[name]), name


def test_the_report_counts_all_and_names_what_was_left_out(vit_run):
    net = TapViT(img_size=32, out_indices=(0, 1, 2, 3), **VIT)
    report = load_part(net, exported(vit_run[0]))
    assert report.coverage == 1.0
    assert len(report.matched) == len(net.state_dict())
    assert report.missing == ()
    assert report.unexpected == ('ln1',)


def test_an_init_inside_a_larger_model_comes_after_that_of_its_parts(vit_run):
    path, teacher = vit_run

    class Detector(BaseModule):
        def __init__(self):
            super().__init__()
            self.backbone = TapViT(
                img_size=32,
                out_indices=(3,),
                init_cfg=dict(type='Pretrained', checkpoint=str(path)),
                **VIT,
            )

    detector = Detector()
    detector.init_weights()
    assert torch.equal(detector.backbone.pos_embed, teacher.pos_embed)


OTHERS = {
    'MobileNetV2': dict(widen_factor=0.25),
    'SwinTransformer': dict(
        arch=dict(embed_dims=24, depths=[1, 1, 1, 1], num_heads=[1, 2, 4, 8]), img_size=64
    ),
    'VisionTransformer': dict(
        arch=dict(embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=48),
        img_size=32,
        patch_size=8,
    ),
    'ConvNeXt': dict(arch=dict(depths=[1, 1, 1, 1], channels=[8, 8, 16, 16])),
    'EfficientNet': dict(arch='b0'),
}


@pytest.mark.parametrize('name', OTHERS)
@pytest.mark.parametrize('wrapped', [False, True])
def test_no_initialisation_of_a_backbone_or_its_parts_comes_after_the_file(tmp_path, name, wrapped):
    net = PRETRAIN.build(dict(type=name, **OTHERS[name]))
    for tensor in net.state_dict().values():
        if tensor.dtype.is_floating_point:
            tensor.copy_(torch.rand_like(tensor))
    path = tmp_path / 'net.pth'
    torch.save({f'backbone.{n}': v for n, v in net.state_dict().items()}, path)
    init = dict(type='mmdssl.PretrainedBackbone', checkpoint=str(path))
    model = PRETRAIN.build(dict(type=name, init_cfg=init, **OTHERS[name]))
    (BaseModuleList([model]) if wrapped else model).init_weights()
    found = model.state_dict()
    assert all(torch.equal(found[n], v) for n, v in net.state_dict().items())


class Stage(BaseModule):
    """What a shared head is: layer4 and something new behind it."""

    def __init__(self, layer4):
        super().__init__()
        self.layer4 = layer4
        self.norm = nn.BatchNorm2d(64)


@pytest.mark.parametrize('c4', [False, True])
def test_trunk_and_stage_come_from_one_file(resnet_run, c4):
    path, source = resnet_run
    file = exported(path, c4=c4)
    settings = dict(type='mmdssl.PretrainedBackbone', checkpoint=str(file))
    short = dict(num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2,))
    trunk = ResNet(depth=18, stem_channels=8, base_channels=8, **short)
    stage = Stage(ResNet(depth=18, stem_channels=8, base_channels=8).layer4)
    trunk.init_cfg = settings
    initialize(trunk, settings)
    initialize(stage, dict(settings, fresh=('norm',)))
    state = source.state_dict()
    for part in (trunk, stage):
        for name, tensor in part.state_dict().items():
            assert name.startswith('norm.') or torch.equal(tensor, state[name]), name
    assert torch.equal(stage.norm.weight, torch.ones(64))


def test_a_file_without_the_stage_is_refused(resnet_run, tmp_path):
    path, net = resnet_run
    state = {n: v for n, v in net.state_dict().items() if not n.startswith('layer4.')}
    torch.save({f'backbone.{n}': v for n, v in state.items()}, path)
    stage = Stage(ResNet(depth=18, stem_channels=8, base_channels=8).layer4)
    with pytest.raises(ValueError, match=r'does not fit Stage: 0 tensors matched.*another arch'):
        load_part(stage, path, fresh=('norm',))


def test_a_checkpoint_of_another_family_is_refused(vit_run):
    with pytest.raises(ValueError, match=r'does not fit ResNet: 0 tensors.*compare the arch'):
        load_part(ResNet(depth=18), vit_run[0])


def test_a_deeper_backbone_is_refused_and_not_cut(vit_run):
    shallow = TapViT(img_size=32, out_indices=(0, 1), patch_size=8, arch=dict(ARCH, num_layers=2))
    with pytest.raises(ValueError, match=r'layers\.2\..* unexpected|unexpected \(layers\.2'):
        load_part(shallow, vit_run[0])


def test_a_wider_backbone_is_refused(vit_run):
    wide = TapViT(img_size=32, out_indices=(3,), patch_size=8, arch=dict(ARCH, embed_dims=48))
    with pytest.raises(ValueError, match=r'size mismatch for .*another architecture or size'):
        load_part(wide, vit_run[0])


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r'no checkpoint at nowhere\.pth'):
        load_part(nn.Linear(1, 1), 'nowhere.pth')


@pytest.mark.parametrize('kind', ['Pretrained', 'mmdssl.PretrainedBackbone'])
@pytest.mark.parametrize('backbone', ['DenseViT', 'TapViT'])
def test_no_vit_of_this_package_starts_from_a_part(vit_run, tmp_path, backbone, kind):
    """mmengine's own initializer would take eleven blocks of twelve and go on."""
    path, _ = vit_run
    content = torch.load(path, weights_only=True)
    state = content.get('state_dict', content)
    part, gone = tmp_path / 'part.pth', 'layers.1.attn.qkv.weight'
    torch.save({name: tensor for name, tensor in state.items() if gone not in name}, part)
    taps = dict(out_indices=(3,)) if backbone == 'TapViT' else {}
    init = dict(type=kind, checkpoint=str(part))
    net = MODELS.build(dict(type=backbone, img_size=32, init_cfg=init, **taps, **VIT))
    with pytest.raises(ValueError, match='does not fit'):
        net.init_weights()

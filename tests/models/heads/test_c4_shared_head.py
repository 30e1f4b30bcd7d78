"""The shared head of C4 detectors: layer4 by value, the norm behind it, half width."""

import pytest
import torch
from mmpretrain.models.backbones import ResNet

from mmdssl.conversion.convert import export_backbone
from mmdssl.conversion.files import write_weights
from mmdssl.registry import MODELS

BN = dict(type='BN')


def build(**kwargs):
    return MODELS.build(
        {**dict(type='C4SharedHead', depth=18, base_channels=8, norm_cfg=BN), **kwargs}
    )


@pytest.fixture
def source(tmp_path):
    """A ResNet with values that no initialisation gives, as a checkpoint of a run."""
    net = ResNet(depth=18, stem_channels=8, base_channels=8)
    for tensor in net.state_dict().values():
        if tensor.dtype.is_floating_point:
            tensor.copy_(torch.rand_like(tensor) + 0.5)
    path = tmp_path / 'iter_1.pth'
    torch.save({f'backbone.{name}': value for name, value in net.state_dict().items()}, path)
    return net, path


@pytest.mark.parametrize('c4', [False, True])
def test_layer4_comes_from_the_exported_file_and_the_norm_starts_anew(source, tmp_path, c4):
    net, path = source
    converted = export_backbone(path, to='mmdet', c4=c4)
    file = tmp_path / 'mmdet.pth'
    write_weights(converted.state, converted.meta, file)
    head = build(init_cfg=dict(type='Pretrained', checkpoint=str(file)))
    head.init_weights()
    for name, tensor in net.layer4.state_dict().items():
        assert torch.equal(head.layer4.state_dict()[name], tensor), name
    assert torch.equal(head.norm.weight, torch.ones(64))
    net.eval()
    head.eval()
    regions = torch.randn(3, 32, 4, 4)
    # running statistics 0 and 1: the norm divides by sqrt(1 + eps)
    torch.testing.assert_close(head(regions), net.layer4(regions) / (1 + head.norm.eps) ** 0.5)


@pytest.mark.parametrize('norm', [BN, dict(type='GN', num_groups=4)])
def test_without_a_file_convolutions_and_norms_start_as_a_resnets(norm):
    head = build(depth=50, norm_cfg=norm)
    for parameter in head.parameters():  # nothing that a constructor has left passes
        torch.nn.init.constant_(parameter, 7.0)
    torch.manual_seed(0)
    head.init_weights()
    for module in head.modules():
        if isinstance(module, torch.nn.Conv2d):  # He et al., fan-out
            fan = module.out_channels * module.kernel_size[0] ** 2
            assert module.weight.std().item() == pytest.approx((2 / fan) ** 0.5, rel=0.05)
            assert abs(module.weight.mean().item()) < 0.1 * (2 / fan) ** 0.5
        elif isinstance(module, (torch.nn.BatchNorm2d, torch.nn.GroupNorm)):
            assert torch.equal(module.weight, torch.ones_like(module.weight))
            assert not module.bias.any()


def test_without_the_norm_it_is_layer4():
    head = build(extra_norm=False)
    regions = torch.randn(2, 32, 4, 4)
    assert not [name for name in head.state_dict() if name.startswith('norm')]
    head.eval()
    assert torch.equal(head(regions), head.layer4(regions))


def test_full_width_has_the_shapes_of_mmdets_and_its_stride():
    head = build(depth=50, base_channels=64)
    assert head.out_channels == 2048
    assert head.layer4[0].conv2.stride == (2, 2)  # PyTorch's style: in the 3x3 convolution
    theirs = pytest.importorskip('mmdet.models').ResNet(depth=50).layer4.state_dict()
    ours = head.layer4.state_dict()
    assert {n: v.shape for n, v in ours.items()} == {n: v.shape for n, v in theirs.items()}


def test_norm_eval_keeps_running_statistics():
    head = build(norm_eval=True)
    head.train()
    before = {name: value.clone() for name, value in head.named_buffers()}
    head(torch.randn(4, 32, 4, 4))
    assert all(torch.equal(value, before[name]) for name, value in head.named_buffers())


def test_a_depth_that_no_resnet_has_is_refused():
    with pytest.raises(ValueError, match='no ResNet of depth 20'):
        build(depth=20)

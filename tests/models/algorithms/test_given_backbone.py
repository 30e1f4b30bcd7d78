"""Hosts start from a given backbone: teacher alike, heads new, the origin told in one line."""

import pytest
import torch

from mmdssl.conversion.convert import export_backbone
from tests.conversion.nets import checkpoint, dinov2, shaken
from tests.models.algorithms.narrow_soco import NarrowResNet, narrow_soco
from tests.models.tiny import tiny_batch, tiny_ibot
from tests.models.tiny_resnet import tiny_densecl

NET = dict(
    type='DenseViT',
    arch=dict(embed_dims=24, num_layers=2, num_heads=3, feedforward_channels=48),
    img_size=32,
    patch_size=8,
    layer_scale_init_value=1e-5,
    registers=4,
)


@pytest.fixture
def said(monkeypatch):
    """Lines of the log about the start."""
    lines = []
    monkeypatch.setattr(
        'mmdssl.models.algorithms.base.print_log', lambda line, **_: lines.append(line)
    )
    return lines


def file_of(net, folder, **meta):
    state = {f'backbone.{name}': value for name, value in net.state_dict().items()}
    torch.save(dict(meta=meta, state_dict=state), folder / 'given.pth')
    return str(folder / 'given.pth')


def test_ibot_and_its_teacher_start_as_the_given_net(tmp_path, said):
    given = dinov2()
    file = file_of(given, tmp_path)
    host = tiny_ibot(backbone=NET, init=file)
    (line,) = said
    count = len(given.state_dict())
    assert line == (
        f'IBOT starts with backbone: {count} of {count} tensors from {file}; head: new; '
        'teacher: a copy of these'
    )
    for name, value in given.state_dict().items():
        assert torch.equal(host.backbone.state_dict()[name], value)
        if name != 'mask_token':
            assert torch.equal(host.teacher.backbone.state_dict()[name], value)
    for one, two in zip(host.head.parameters(), host.teacher.head.parameters(), strict=True):
        assert torch.equal(one, two)
    fresh = tiny_ibot(backbone=NET)  # whose head the reading does not move
    assert torch.equal(host.head.mlp[0].weight, fresh.head.mlp[0].weight)


def test_what_a_file_lacks_and_what_a_branch_copies_is_told(tmp_path, said):
    given = dinov2(with_mask_token=False)
    gram = dict(type='GramAnchoring', weight=1.0, scale=1)
    host = tiny_ibot(backbone=NET, init=file_of(given, tmp_path), branches=[gram]).train()
    assert '(not in it: mask_token); head: new' in said[0]
    assert 'branches.gram: a copy of the teacher of iteration 0' in said[0]
    assert not host.backbone.mask_token.any()
    losses = host(tiny_batch(), mode='loss')  # takes the Gram teacher
    assert torch.equal(host.branches['gram'].teacher.cls_token, given.cls_token)
    assert losses['loss_gram'].isfinite()


def soco(**settings):
    return narrow_soco(backbone=NarrowResNet(zero_init_residual=True), **settings)


@pytest.mark.parametrize('build', [tiny_densecl, soco])
def test_residual_networks_keep_their_last_scales(build, tmp_path, said):
    """SoCo's zero_init_residual is for new networks."""
    given = shaken(build().backbone)
    host = build(init=file_of(given, tmp_path))
    for name, value in given.state_dict().items():
        assert torch.equal(host.backbone.state_dict()[name], value), name
        assert torch.equal(host.teacher.backbone.state_dict()[name], value), name
    assert 'neck: new' in said[0]


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (dict(registers=0), 'has register_tokens as well'),
        (dict(patch_size=4, img_size=16), 'size mismatch for patch_embed'),
        (dict(layer_scale_init_value=0.0), 'has LayerScale as well'),
        (dict(rope=dict()), 'has pos_embed as well'),
    ],
)
def test_another_network_is_refused(settings, words, tmp_path):
    file = file_of(dinov2(), tmp_path)
    with pytest.raises(ValueError, match=words):
        tiny_ibot(backbone={**NET, **settings}, init=file)
    with pytest.raises(FileNotFoundError, match=r'no file nowhere.pth: make it'):
        tiny_ibot(backbone=NET, init='nowhere.pth')


def test_the_teacher_goes_out_with_the_mask_token_of_the_student(tmp_path):
    student, teacher = dinov2(), dinov2(with_mask_token=False)
    run = checkpoint(tmp_path / 'run.pth', student, teacher, kept='teacher')
    state = export_backbone(run, to='dinov2').state
    assert torch.equal(state['mask_token'], student.mask_token[0])
    assert torch.equal(state['cls_token'], teacher.cls_token)

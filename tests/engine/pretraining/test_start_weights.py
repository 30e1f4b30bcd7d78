"""Given weights: whose they are is told by the file, which may have any names."""

import pytest
import torch
from safetensors.torch import save_file

from mmdssl.conversion.convert import export_backbone
from mmdssl.engine.pretraining import start_weights
from mmdssl.engine.pretraining.start_weights import DINO_SIZES, look_at_start, name_of
from mmdssl.models.backbones import DenseViT
from tests.conversion.nets import checkpoint, dinov2, dinov3, resnet, vit
from tests.engine.pretraining.photos import GPU, photos, resolved, said


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache'


@pytest.fixture
def folder(tmp_path):
    return photos(tmp_path / 'photos')


def official(net, folder, to='dinov2'):
    """The file of a network under names of other code."""
    file = folder / f'{to}_theirs.pth'
    torch.save(export_backbone(checkpoint(folder / 'run.pth', net, net), to=to).state, file)
    return str(file)


def on_meta(**settings) -> dict:
    """Shapes of a network of full size."""
    with torch.device('meta'):
        return DenseViT(**settings).state_dict()


@pytest.mark.parametrize(
    ('name', 'settings'),
    [
        ('dinov2-small', dict(patch_size=14, img_size=518)),
        ('dinov2-reg-giant', dict(patch_size=14, img_size=518, registers=4)),
        ('dinov3-small-plus', dict(rope=dict(), registers=4)),
        ('dinov3-huge-plus', dict(rope=dict(), registers=4)),
        ('vit-small', {}),
    ],
)
def test_full_size_networks_are_named_by_their_tensors(name, settings, tmp_path):
    size = next(s for s in sorted(DINO_SIZES, key=len, reverse=True) if name.endswith(s))
    width, layers, heads, hidden, ffn = DINO_SIZES[size]
    arch = dict(embed_dims=width, num_layers=layers, num_heads=heads, feedforward_channels=hidden)
    scale = dict(layer_scale_init_value=1e-5) if name.startswith('dino') else {}
    state = on_meta(arch=arch, ffn=ffn, **scale, **settings)
    assert name_of(state, tmp_path / 'x.pth') == name


def test_other_networks_have_no_name(tmp_path):
    assert name_of(dinov2().state_dict(), tmp_path) is None  # of no published size
    assert name_of(resnet(18, 64).state_dict(), tmp_path) == 'resnet18'
    assert name_of(resnet(18, 8).state_dict(), tmp_path) is None
    assert name_of({'a.weight': torch.ones(2)}, tmp_path) is None


@pytest.mark.parametrize(('build', 'to'), [(dinov2, 'dinov2'), (dinov3, 'hf'), (dinov3, 'timm')])
def test_a_file_of_another_package_is_converted_once(build, to, tmp_path, cache, monkeypatch):
    net = build()
    file = official(net, tmp_path, to)
    start = look_at_start(file)
    assert start.file.parent == cache / 'mmdssl' / 'weights'
    assert start.file.name.startswith(f'{to}_theirs-')
    content = torch.load(start.file, weights_only=True)
    assert torch.equal(content['state_dict']['backbone.cls_token'], net.cls_token)
    assert content['meta']['weights_origin'] in start.note
    assert 'licence: ' in start.note
    monkeypatch.setattr(start_weights, 'write_weights', pytest.fail)
    assert look_at_start(file) == start


def test_files_with_our_names_are_taken_as_they_are(tmp_path, cache):
    run = checkpoint(tmp_path / 'run.pth', dinov2(), dinov2())
    assert look_at_start(str(run)) == start_weights.Start(run)
    flat = tmp_path / 'resnet.pth'  # as torchvision names it
    torch.save({**resnet(50, 64).state_dict(), 'fc.weight': torch.ones(2, 2)}, flat)
    assert look_at_start(str(flat)) == start_weights.Start(flat, 'resnet50')
    assert not cache.exists()


def test_a_file_of_no_use_is_told_before_anything_is_trained(tmp_path, folder):
    file = tmp_path / 'x.pth'
    torch.save({'encoder.h.0.w': torch.ones(2)}, file)
    with pytest.raises(ValueError, match='of no scheme that is known here'):
        resolved('ibot-d', folder, tmp_path / 'run', init=str(file), backbone='dinov2-small')
    state = torch.load(official(vit(), tmp_path, 'timm'), weights_only=True)
    torch.save({name: value for name, value in state.items() if 'blocks.1.' not in name}, file)
    found = look_at_start(str(file))
    assert found.problem is None  # a network of one block
    file.write_bytes(b'')
    with pytest.raises(ValueError, match='it is an empty file'):
        resolved('leopart-d', folder, tmp_path / 'run', init=str(file))
    with pytest.raises(FileNotFoundError, match=r'init=gone\.pth: there is no such file'):
        resolved('ibot-d', folder, tmp_path / 'run', init='gone.pth')


def test_shards_and_folders_are_told(tmp_path, folder):
    sharded = tmp_path / 'dcp'
    sharded.mkdir()
    (sharded / '.metadata').write_bytes(b'')
    part = tmp_path / 'model-00001-of-00002.safetensors'
    save_file({'encoder.layer.0.norm1.weight': torch.ones(24)}, part)
    for given, words in ((sharded, 'dcp_to_torch_save'), (part, 'is part 1 of 2 of a network')):
        with pytest.raises(ValueError, match=words):
            resolved('ibot-d', folder, tmp_path / 'r', init=str(given), backbone='dinov2-small')
    with pytest.raises(FileNotFoundError, match='which is a folder: give a file in it'):
        resolved('ibot-d', folder, tmp_path / 'r', init=str(folder), backbone='dinov2-small')


def test_of_a_run_the_newest_checkpoint_is_taken(tmp_path):
    run = tmp_path / 'run'
    run.mkdir()
    checkpoint(run / 'iter_3.pth', dinov2(), dinov2())
    assert look_at_start(str(run)).file == run / 'iter_3.pth'


def test_the_config_that_goes_on_from_such_a_backbone_is_taken(tmp_path, folder, monkeypatch):
    file = official(dinov2(registers=0), tmp_path)
    asked = resolved('ibot-d', folder, tmp_path / 'run', init=file, backbone='dinov2-small')
    assert said(asked, 'config').startswith('posttrain/ibot-d_dinov2-small-p14_')
    assert 'a file of DINOv2' in said(asked, 'init')
    model = asked.config.model
    assert model.init.startswith(str(tmp_path / 'cache'))
    monkeypatch.setattr(start_weights, 'name_of', lambda *_: 'dinov2-small')
    told = resolved('leopart-d', folder, tmp_path / 'run', init=file)
    assert said(told, 'backbone') == 'dinov2-small-p14: that of init'


def test_views_of_such_a_config_fit_patches_and_leave_the_table(tmp_path, folder):
    found = resolved('leopart-d', folder, tmp_path / 'r', init='random', backbone='dinov2-small')
    crops = found.config.train_dataloader.dataset.pipeline[1]
    sizes = [step['size'] for part in crops['pipelines'] for step in part if 'size' in step]
    assert sizes == [112, 56]  # of 224 and 98 px, for photos of 64 x 48
    assert crops['pipelines'][0][-1]['mask_size'] == (8, 8)
    assert found.config.model.backbone.img_size == 518
    gram = resolved('ibot-d-gram', folder, tmp_path / 'r', init='random').config
    (crop, *_) = gram.train_dataloader.dataset.pipeline[1]['pipelines'][0]
    assert (crop['size'], gram.model.data_preprocessor.student_size) == (192, 96)
    assert gram.model.backbone.img_size == 96


@pytest.mark.parametrize(
    ('backbone', 'width', 'ffn'),
    [('dinov2-base', 768, 'mlp'), ('dinov3-large-plus', 1024, 'gated')],
)
def test_other_sizes_of_a_family_fit_its_head(backbone, width, ffn, tmp_path, folder):
    found = resolved('ibot-d', folder, tmp_path / 'r', init='random', backbone=backbone)
    model = found.config.model
    assert (model.backbone.arch['embed_dims'], model.head.in_channels) == (width, width)
    assert model.backbone.ffn == ffn
    assert said(found, 'backbone') == f'{backbone}: as asked for'


def test_residual_networks_start_from_a_classifier_when_one_is_given(tmp_path, folder):
    file = tmp_path / 'resnet.pth'
    torch.save(resnet(50, 64).state_dict(), file)
    given = resolved('densecl-d', folder, tmp_path / 'r', init=str(file))
    assert said(given, 'config').startswith('posttrain/')
    plain = resolved('densecl', folder, tmp_path / 'r', init=str(file))
    assert 'resnet50' in said(plain, 'backbone')
    assert 'the rate is that of training from nothing' in said(plain, 'init')
    assert plain.config.model.init == str(file)
    nothing = resolved('densecl-d', folder, tmp_path / 'r', GPU, backbone='resnet50')
    assert said(nothing, 'config').startswith('densecl/')
    assert 'init' not in nothing.config.model


@pytest.mark.parametrize(
    ('method', 'options', 'sentence'),
    [
        ('ibot-d', dict(backbone='dinov2-small'), r'starts from a given backbone: give init=FILE'),
        ('ibot-d', dict(backbone='dinov3-giant', init='random'), 'dinov3 has the sizes small, sm'),
        ('maskalign', dict(teacher='random', init='random'), 'cannot start from a given backbone'),
        ('soco-d', dict(backbone='dinov2-small'), 'with init, resnet50-c4'),
    ],
)
def test_what_does_not_go_is_told(method, options, sentence, tmp_path, folder):
    with pytest.raises(ValueError, match=sentence):
        resolved(method, folder, tmp_path / 'r', **options)


def test_a_method_without_such_a_config_names_those_that_have_one(tmp_path, folder, monkeypatch):
    file = official(dinov2(registers=0), tmp_path)
    monkeypatch.setattr(start_weights, 'name_of', lambda *_: 'dinov2-small')
    with pytest.raises(ValueError, match=r'is a dinov2-small, .*: ibot-d, leopart-d have one'):
        resolved('ibot', folder, tmp_path / 'r', init=file)


def test_a_method_that_is_published_from_such_weights_takes_them(tmp_path, folder, monkeypatch):
    file = official(dinov2(), tmp_path)
    monkeypatch.setattr(start_weights, 'name_of', lambda *_: 'dinov2-reg-small')
    found = resolved('neco-d', folder, tmp_path / 'r', init=file)  # without a GPU, too
    assert said(found, 'config').startswith('neco/neco-d_vit-small-p14-reg_')
    assert found.config.model.init.startswith(str(tmp_path / 'cache'))

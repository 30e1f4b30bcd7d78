"""The exported network computes the same in the framework it was exported for, loaded strictly.

timm is not part of the tested set: its names are those of DINO and iBOT, and a ViT with these
names, itself checked against outputs of the official code, takes its place.
"""

import pytest
import torch
from mmdet.registry import MODELS as MMDET
from mmseg.registry import MODELS as MMSEG
from torchvision.models import resnet18, resnet50
from torchvision.models.vision_transformer import VisionTransformer

from mmdssl.conversion.convert import export_backbone, import_weights
from mmdssl.conversion.files import write_weights
from mmdssl.core.reading import load_checkpoint_file
from mmdssl.models.backbones.dense_vit import DenseViT
from tests.conversion.nets import VIT, PlainViT, checkpoint, resnet, vit
from tests.golden import Golden, assert_close

REGISTRIES = {'mmdet': MMDET, 'mmseg': MMSEG}
PREFIX = 'backbone.'


@pytest.fixture(scope='module')
def images():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))


def exported(net, folder, to: str, **options) -> dict:
    """The state as another program reads it from the file."""
    result = export_backbone(checkpoint(folder / 'run.pth', net, net), to=to, **options)
    write_weights(result.state, result.meta, folder / 'out.pth')
    return load_checkpoint_file(folder / 'out.pth')['state_dict']


def backbone_part(state: dict) -> dict:
    return {n.removeprefix(PREFIX): v for n, v in state.items() if n.startswith(PREFIX)}


@torch.no_grad()
@pytest.mark.parametrize(('depth', 'build'), [(18, resnet18), (50, resnet50)])
def test_torchvision_resnet_computes_the_same(depth, build, images, tmp_path):
    ours = resnet(depth, width=64)
    theirs = build(num_classes=1)
    theirs.fc = torch.nn.Identity()
    theirs.load_state_dict(exported(ours, tmp_path, 'torchvision'), strict=True)
    want = ours(images)[-1].mean((2, 3))
    assert want.std() > 1e-3  # features, not zeros
    assert_close(theirs.eval()(images), want)


@torch.no_grad()
def test_torchvision_vit_computes_the_same(images, tmp_path):
    ours = vit()
    theirs = VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=3, hidden_dim=24, mlp_dim=48
    )
    theirs.heads = torch.nn.Identity()
    theirs.load_state_dict(exported(ours, tmp_path, 'torchvision'), strict=True)
    assert_close(theirs.eval()(images), ours.forward_tokens(images)[:, 0])


@torch.no_grad()
def test_a_vit_with_names_of_timm_computes_the_same(images, tmp_path):
    ours = vit()
    theirs = PlainViT(width=24, depth=2, hidden=48, heads=3, patch=8, tokens=17)
    theirs.load_state_dict(exported(ours, tmp_path, 'timm'), strict=True)
    assert_close(theirs(images), ours.forward_tokens(images))


@torch.no_grad()
@pytest.mark.golden
def test_official_weights_compute_the_same_here_and_under_timm_names(shared, tmp_path):
    golden = Golden.load(shared('golden/ibot_vit.npz'))
    official = golden.sub('state/')
    width, patch = official['cls_token'].shape[-1], official['patch_embed.proj.weight'].shape[-1]
    depth, heads = golden.number('cfg_depth'), golden.number('cfg_num_heads')
    hidden, tokens = len(official['blocks.0.mlp.fc1.bias']), official['pos_embed'].shape[1]
    plain = dict(width=width, depth=depth, hidden=hidden, heads=heads, patch=patch)
    torch.save(dict(official), tmp_path / 'backbone.pth')
    result = import_weights(tmp_path / 'backbone.pth', source='ibot')
    write_weights(result.state, result.meta, tmp_path / 'ours.pth')
    arch = dict(embed_dims=width, num_layers=depth, num_heads=heads, feedforward_channels=hidden)
    ours = DenseViT(arch=arch, img_size=golden.number('cfg_img_size'), patch_size=patch)
    ours.load_state_dict(backbone_part(result.state), strict=True)
    ours.eval()
    assert_close(ours.forward_tokens(golden['images']), golden['nomask_out'], 1e-4)
    theirs = PlainViT(**plain, tokens=tokens)
    state = export_backbone(tmp_path / 'ours.pth', to='timm').state
    theirs.load_state_dict(state, strict=True)
    assert_close(theirs(golden['images']), golden['nomask_out'], 1e-4)
    # Non-square images: a table resampled on export gives what the official code computes.
    height, width = golden['other_images'].shape[-2:]
    state = export_backbone(tmp_path / 'ours.pth', to='timm', image_size=(height, width)).state
    theirs = PlainViT(**plain, tokens=golden['other_pos_embed'].shape[1])
    theirs.load_state_dict(state, strict=True)
    assert_close(theirs(golden['other_images']), golden['other_out'], 1e-4)


@torch.no_grad()
@pytest.mark.parametrize('package', list(REGISTRIES))
def test_backbones_built_in_mmdet_and_mmseg_compute_the_same(package, images, tmp_path):
    registry = REGISTRIES[package]
    source = vit()
    theirs = registry.build(
        dict(type='mmpretrain.VisionTransformer', out_type='featmap', **VIT)
        | dict(norm_cfg=dict(type='LN', eps=1e-6))
    )
    theirs.load_state_dict(backbone_part(exported(source, tmp_path, package)), strict=True)
    theirs.eval()
    assert_close(theirs(images)[-1], source(images)[-1])
    for depth in (18, 50):
        source = resnet(depth)
        theirs = registry.build(
            dict(type='mmpretrain.ResNet', depth=depth, stem_channels=8, base_channels=8)
        )
        theirs.load_state_dict(backbone_part(exported(source, tmp_path, package)), strict=True)
        theirs.eval()
        assert_close(theirs(images)[-1], source(images)[-1])


@torch.no_grad()
@pytest.mark.slow
def test_c4_file_fits_a_c4_detector_of_mmdet_by_value(images, tmp_path):
    from mmdet.models.backbones import ResNet
    from mmdet.models.roi_heads.shared_heads import ResLayer

    source = resnet(50, width=64)
    state = exported(source, tmp_path, 'mmdet', c4=True)
    backbone = ResNet(
        depth=50, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2,)
    )
    backbone.load_state_dict(backbone_part(state), strict=True)
    head = ResLayer(depth=50, stage=3, stride=2, style='pytorch')
    place = 'roi_head.shared_head.'
    shared_head = {n.removeprefix(place): v for n, v in state.items() if n.startswith(place)}
    head.load_state_dict(shared_head, strict=True)
    backbone.eval()
    head.eval()
    assert_close(head(backbone(images)[-1]), source(images)[-1])

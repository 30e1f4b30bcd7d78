"""Exports for timm against timm itself (1.0.31 was tried), where it is installed."""

import pytest
import torch

from mmdssl.conversion.convert import export_backbone, import_weights
from mmdssl.conversion.files import write_weights
from mmdssl.core.reading import load_checkpoint_file
from tests.conversion.nets import checkpoint, resnet, vit
from tests.golden import assert_close


@pytest.fixture(autouse=True, scope='module')
def timm():
    """Not part of the tested set."""
    return pytest.importorskip('timm', reason='pip install timm compares with the real one')


def exported(net, folder, **options) -> dict:
    """The state as timm's users read it: a file of safetensors."""
    from safetensors.torch import load_file

    result = export_backbone(checkpoint(folder / 'run.pth', net, net), to='timm', **options)
    write_weights(result.state, result.meta, folder / 'out.safetensors')
    return load_file(folder / 'out.safetensors')


def timm_vit(image_size: int = 32):
    from timm.models.vision_transformer import VisionTransformer

    return VisionTransformer(
        img_size=image_size,
        patch_size=8,
        embed_dim=24,
        depth=2,
        num_heads=3,
        mlp_ratio=2,
        num_classes=0,
        global_pool='token',
    ).eval()


@pytest.fixture(scope='module')
def images():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))


@torch.no_grad()
def test_timms_vit_computes_the_same(images, tmp_path):
    ours, theirs = vit(), timm_vit()
    theirs.load_state_dict(exported(ours, tmp_path), strict=True)
    want = ours.forward_tokens(images)
    assert want.std() > 1e-2
    assert_close(theirs.forward_features(images), want)
    assert_close(theirs(images), want[:, 0])
    larger = timm_vit(64)
    larger.load_state_dict(exported(ours, tmp_path, image_size=(64, 64)), strict=True)
    many = torch.nn.functional.interpolate(images, size=64)
    assert_close(larger.forward_features(many), ours.forward_tokens(many), 1e-4)


@torch.no_grad()
@pytest.mark.parametrize('depth', [18, 50])
def test_timms_resnet_computes_the_same(timm, depth, images, tmp_path):
    ours = resnet(depth, width=64)
    theirs = timm.create_model(f'resnet{depth}', num_classes=0).eval()
    theirs.load_state_dict(exported(ours, tmp_path), strict=True)
    want = ours(images)[-1]
    assert want.std() > 1e-3
    assert_close(theirs.forward_features(images), want)


@torch.no_grad()
def test_a_network_of_timm_comes_in_whole(images, tmp_path):
    torch.manual_seed(0)
    theirs = timm_vit()
    torch.save(theirs.state_dict(), tmp_path / 'timm.pth')
    result = import_weights(tmp_path / 'timm.pth', source='timm')
    write_weights(result.state, result.meta, tmp_path / 'ours.pth')
    state = load_checkpoint_file(tmp_path / 'ours.pth')['state_dict']
    ours = vit()
    missing, unexpected = ours.load_state_dict(
        {n.removeprefix('backbone.'): v for n, v in state.items()}, strict=False
    )
    assert set(missing) <= {'mask_token'}
    assert not unexpected
    assert_close(ours.forward_tokens(images), theirs.forward_features(images))

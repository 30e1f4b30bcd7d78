"""A backbone by its file: complete, in its own normalisation, or refused; features with shapes."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

import mmdssl
from mmdssl.conversion.convert import export_backbone
from mmdssl.conversion.files import write_weights
from mmdssl.engine.loaded_backbone import LoadedBackbone, features, load_backbone
from mmdssl.registry import MODELS
from tests.datasets.image_files import picture

VIT = dict(
    type='DenseViT',
    arch=dict(embed_dims=64, num_layers=2, num_heads=1, feedforward_channels=96),
    img_size=64,
    patch_size=16,
    drop_path_rate=0.1,
)
RESNET = dict(type='ResNet', depth=18, stem_channels=8, base_channels=8)
MEAN, STD = [10.0, 20.0, 30.0], [40.0, 50.0, 60.0]


def config_of(backbone):
    """The config of a run with that backbone and 96 px views."""
    crop = dict(type='RandomResizedCropWithBoxes', size=96, scale=(0.2, 1.0))
    views = dict(type='MultiViewWithBoxes', num_views=[2], pipelines=[[crop]])
    return Config(
        dict(
            model=dict(
                type='IBOT',
                backbone=dict(backbone, init_cfg=dict(type='Pretrained', checkpoint='gone.pth')),
                data_preprocessor=dict(type='MultiViewPreprocessor', mean=MEAN, std=STD),
            ),
            train_dataloader=dict(dataset=dict(pipeline=[views])),
        )
    )


def write_run(path, backbone, *, student=None, lost=None):
    """A checkpoint as a run leaves it; gives the teacher's network."""
    init_default_scope('mmdssl')
    torch.manual_seed(0)
    teacher = MODELS.build(dict(backbone))
    teacher.eval()  # gives nothing back in mmpretrain
    other = MODELS.build(student or dict(backbone))
    state = {f'teacher.backbone.{name}': value for name, value in teacher.state_dict().items()}
    state |= {f'backbone.{name}': value for name, value in other.state_dict().items()}
    state = {name: value for name, value in state.items() if name != lost}
    meta = dict(cfg=config_of(backbone).pretty_text, evaluated_backbone='teacher', iter=3)
    torch.save(
        dict(meta=meta, state_dict=state, optimizer={}, message_hub=dict(log_scalars={})), path
    )
    return teacher


def by_hand(network, images, *, mean, std):
    """The last map of uint8 images (B, 3, H, W), normalised here."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (mean, std))
    with torch.no_grad():
        return network((images.float() - mean) / std)[-1]


@pytest.mark.parametrize(
    ('backbone', 'size', 'stride'), [(VIT, 64, 16), (RESNET, 96, 32)], ids=['ViT', 'ResNet']
)
def test_features_are_those_of_the_network_and_normalisation_of_the_run(
    tmp_path, backbone, size, stride
):
    network = write_run(tmp_path / 'iter_3.pth', backbone)
    loaded = load_backbone(tmp_path, device='cpu')  # the folder: its newest checkpoint
    assert loaded.image_size == size
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    images = torch.randint(0, 256, (3, 3, 2 * stride, 3 * stride), dtype=torch.uint8)
    maps, vectors = features(loaded, images, batch_size=2)
    want = by_hand(network, images, mean=MEAN, std=STD)
    torch.testing.assert_close(maps, want, rtol=1e-4, atol=1e-5)
    assert maps.shape[2:] == (2, 3)
    torch.testing.assert_close(vectors, want.flatten(2).mean(2), rtol=1e-4, atol=1e-5)


def test_student_and_teacher_can_be_chosen(tmp_path):
    write_run(tmp_path / 'iter_3.pth', VIT)
    images = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    kept, teacher, student = (
        features(load_backbone(tmp_path, source=source, device='cpu'), images).vectors
        for source in ('auto', 'teacher', 'student')
    )
    assert torch.equal(kept, teacher)
    assert not torch.equal(kept, student)


DINOV2 = dict(VIT, layer_scale_init_value=0.5, registers=2)
DINOV3 = dict(
    dict(VIT, arch=dict(VIT['arch'], num_heads=2)),
    layer_scale_init_value=0.5,
    registers=2,
    rope=dict(),
    ffn='gated',
)
CONVNEXT = dict(
    type='ConvNeXt',
    arch=dict(depths=[1, 1, 2, 1], channels=[8, 16, 24, 32]),
    gap_before_final_norm=False,
)


@pytest.mark.parametrize(
    'backbone',
    [VIT, RESNET, DINOV2, DINOV3, CONVNEXT],
    ids=['ViT', 'ResNet', 'DINOv2', 'DINOv3', 'ConvNeXt'],
)
def test_of_an_exported_file_the_network_is_read_off_the_tensors(tmp_path, backbone):
    write_run(tmp_path / 'iter_3.pth', backbone)
    done = export_backbone(tmp_path / 'iter_3.pth', to='mmdet')
    write_weights(done.state, done.meta, tmp_path / 'out.safetensors')
    images = torch.randint(0, 256, (1, 3, 96, 96), dtype=torch.uint8)
    ours = load_backbone(tmp_path, device='cpu')
    theirs = load_backbone(tmp_path / 'out.safetensors', device='cpu')
    theirs.data_preprocessor = ours.data_preprocessor  # which such a file does not hold
    assert torch.equal(features(theirs, images).maps, features(ours, images).maps)


def test_files_pil_images_and_tensors_give_the_same(tmp_path):
    write_run(tmp_path / 'iter_3.pth', VIT)
    loaded = load_backbone(tmp_path, device='cpu')
    pixels = picture()
    Image.fromarray(pixels).save(tmp_path / 'a.png')
    image = Image.fromarray(pixels)
    maps, _ = features(loaded, [tmp_path / 'a.png', str(tmp_path / 'a.png'), image])
    assert maps.shape == (3, 64, 4, 4)  # 64 px, as it was trained
    assert torch.equal(maps[0], maps[1])
    assert torch.equal(maps[0], maps[2])
    assert torch.equal(features(loaded, image).maps[0], maps[0])  # one alone is a list of one
    assert features(loaded, image, size=96).maps.shape == (1, 64, 6, 6)
    tensor = torch.from_numpy(np.ascontiguousarray(pixels[:48, :64])).permute(2, 0, 1)[None]
    whole, part = features(loaded, tensor), features(loaded, tensor.float() / 255)
    torch.testing.assert_close(whole.maps, part.maps, rtol=1e-4, atol=1e-5)
    assert features(loaded, tensor, size=32).maps.shape == (1, 64, 2, 2)


def test_a_backbone_of_somebody_else_is_normalised_as_imagenet_is():
    init_default_scope('mmdssl')
    network = MODELS.build(dict(RESNET))
    network.eval()
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    mean, std = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    want = by_hand(network, images, mean=mean, std=std)
    torch.testing.assert_close(features(network, images).maps, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ('images', 'sentence'),
    [
        ([], 'there are no images'),
        ([3], 'an image is a int'),
        (['gone.jpg'], 'there is no image gone.jpg'),
        (torch.zeros(3, 64, 64), r'shape \(3, 64, 64\)'),
        (torch.zeros(0, 3, 64, 64), 'at least 1'),
        (torch.full((1, 3, 64, 64), 255.0), 'reach from 255 to 255'),
        (torch.full((1, 3, 64, 64), float('nan')), 'reach from nan'),
        (torch.zeros(1, 3, 64, 64, dtype=torch.int64), 'are torch.int64'),
        (torch.zeros(1, 3, 50, 64, dtype=torch.uint8), 'no whole patches of 16 px: give size=48'),
    ],
)
def test_images_of_another_form_are_told(images, sentence):
    init_default_scope('mmdssl')
    network = LoadedBackbone(backbone=MODELS.build(dict(VIT)), image_size=64)
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        features(network, images)


def test_what_is_not_complete_is_refused(tmp_path):
    write_run(tmp_path / 'iter_3.pth', VIT, lost='teacher.backbone.layers.1.ln2.weight')
    with pytest.raises(ValueError, match='must hold the whole of it'):
        load_backbone(tmp_path / 'iter_3.pth')


def test_what_is_no_backbone_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='no checkpoint in'):
        load_backbone(tmp_path)
    with pytest.raises(FileNotFoundError, match='no checkpoint at'):
        load_backbone(tmp_path / 'gone.pth')
    write_run(tmp_path / 'iter_3.pth', VIT)
    done = export_backbone(tmp_path / 'iter_3.pth', to='timm')
    write_weights(done.state, done.meta, tmp_path / 'timm.pth')
    with pytest.raises(ValueError, match='is converted first'):
        load_backbone(tmp_path / 'timm.pth')


def test_a_backbone_of_a_project_that_is_not_imported_is_told(tmp_path):
    write_run(tmp_path / 'iter_3.pth', VIT)
    content = torch.load(tmp_path / 'iter_3.pth', weights_only=True)
    content['meta']['cfg'] = content['meta']['cfg'].replace("'DenseViT'", "'MyViT'")
    torch.save(content, tmp_path / 'mine.pth')
    with pytest.raises(ValueError, match='a backbone MyViT, which is not registered'):
        load_backbone(tmp_path / 'mine.pth')


def test_the_package_offers_them_by_name():
    assert mmdssl.load_backbone is load_backbone
    assert mmdssl.features is features
    assert {'features', 'load_backbone', 'pretrain'} <= set(mmdssl.__all__)
    with pytest.raises(AttributeError, match='no attribute'):
        _ = mmdssl.nothing

"""Detection and segmentation on DINOv2 and DINOv3: strides of 14 px patches, weights by value."""

import numpy as np
import pytest
import torch

pytest.importorskip('mmcv._ext', reason='mmdet and mmseg need compiled ops')
pytest.importorskip('mmseg')

from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmdet.utils import register_all_modules
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData, PixelData
from mmseg.registry import MODELS as SEGMENTORS
from mmseg.structures import SegDataSample

from mmdssl.engine.config import load_config
from mmdssl.models.backbones import DenseViT
from tests.configs.test_configs import ROOT
from tests.micro_vit import MICRO

FOLDER = ROOT / 'configs/transfer'
DETECTOR = next(FOLDER.glob('scenes_detection/cascade*.py'))
SEGMENTOR = next(FOLDER.glob('scenes_segmentation/upernet*.py'))
KINDS = {
    'DINOv2': dict(patch_size=14, img_size=70, registers=4),
    'DINOv3': dict(patch_size=16, img_size=64, registers=4, rope=dict(), ffn='gated'),
}


@pytest.fixture
def backbone(request, tmp_path):
    """Settings of a backbone that starts from a file, and the network in the file."""
    settings = dict(arch=MICRO, layer_scale_init_value=1.0, **KINDS[request.param])
    torch.manual_seed(0)
    net = DenseViT(**settings)
    net.init_weights()
    state = {f'backbone.{name}': value for name, value in net.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'net.pth')
    net.eval()
    init = dict(type='mmdssl.PretrainedBackbone', checkpoint=str(tmp_path / 'net.pth'))
    return dict(settings, init_cfg=init), net


def starts_from(model, net):
    assert torch.equal(model.backbone.register_tokens, net.register_tokens)
    for name, value in model.backbone.state_dict().items():
        if name in net.state_dict():
            assert torch.equal(value, net.state_dict()[name]), name


@pytest.mark.parametrize('backbone', ['DINOv2'], indirect=True)
def test_a_detector_with_strides_of_its_patches(backbone):
    settings, net = backbone
    patch = settings['patch_size']
    register_all_modules(init_default_scope=False)
    config = load_config(DETECTOR).model
    config.backbone.update(settings)
    strides = [patch / 4, patch / 2, patch, 2 * patch]
    config.rpn_head.anchor_generator.strides = [*strides, 4 * patch]
    for extractor in (config.roi_head.bbox_roi_extractor, config.roi_head.mask_roi_extractor):
        extractor.featmap_strides = strides
    config.data_preprocessor.pad_size_divisor = patch
    for stage in config.train_cfg.rcnn:
        stage.sampler.num = 8
    model = MODELS.build(config)
    revert_sync_batchnorm(model)
    model.init_weights()
    starts_from(model, net)
    side, padded = 100, -(-100 // patch) * patch  # no multiple: the preprocessor pads

    def batch():
        truth = InstanceData(bboxes=torch.tensor([[8.0, 16.0, 56.0, 72.0]]), labels=torch.zeros(1))
        truth.labels = truth.labels.long()
        mask = np.zeros((1, side, side), np.uint8)
        mask[0, 16:72, 8:56] = 1
        truth.masks = BitmapMasks(mask, side, side)
        sample = DetDataSample(
            gt_instances=truth,
            ignored_instances=InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long()),
            metainfo=dict(img_shape=(side, side), ori_shape=(side, side), scale_factor=(1.0, 1.0)),
        )
        image = torch.randint(0, 256, (3, side, side), dtype=torch.uint8)
        return dict(inputs=[image], data_samples=[sample])

    data = model.data_preprocessor(batch(), True)
    assert data['inputs'].shape[-2:] == (padded, padded)
    maps = model.extract_feat(data['inputs'])
    cells = padded // patch
    assert [m.shape[-1] for m in maps[:4]] == [4 * cells, 2 * cells, cells, cells // 2]
    anchors = model.rpn_head.prior_generator.grid_priors([(2, 2)] * 5, device='cpu')
    centres = [(level[-1, :2] + level[-1, 2:]).mean() / 2 for level in anchors]
    assert [centre.item() for centre in centres] == pytest.approx([*strides, 4 * patch])
    losses = model.loss(data['inputs'], data['data_samples'])
    values = [v for name, v in losses.items() if 'loss' in name]
    total = sum(sum(v) if isinstance(v, list) else v for v in values)
    assert torch.isfinite(total)
    total.backward()
    assert model.backbone.register_tokens.grad.abs().sum() > 0
    model.eval()
    with torch.no_grad():
        assert model.test_step(batch())[0].pred_instances.bboxes.shape[1] == 4


@pytest.mark.parametrize('backbone', ['DINOv3'], indirect=True)
def test_a_segmentor_of_the_same_backbone(backbone):
    settings, net = backbone
    patch = settings['patch_size']
    side = 6 * patch
    config = load_config(SEGMENTOR).model
    config.backbone.update(settings)
    config.data_preprocessor.size = (side, side)
    config.test_cfg = dict(mode='slide', crop_size=(side, side), stride=(2 * patch, 2 * patch))
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = SEGMENTORS.build(config)
    revert_sync_batchnorm(model)
    model.init_weights()
    starts_from(model, net)
    sample = SegDataSample(
        gt_sem_seg=PixelData(data=torch.zeros(1, side, side, dtype=torch.long)),
        metainfo=dict(img_shape=(side, side), ori_shape=(side, side)),
    )
    images = torch.randn(2, 3, side, side)
    losses = model.loss(images, [sample, sample])
    total = sum(value for name, value in losses.items() if 'loss' in name)
    total.backward()
    assert model.backbone.register_tokens.grad.abs().sum() > 0
    model.eval()
    wide = side + 2 * patch
    meta = dict(img_shape=(side, wide), ori_shape=(side, wide), pad_shape=(side, wide))
    with torch.no_grad():
        scores = model.inference(torch.randn(1, 3, side, wide), [meta])
    assert scores.shape[-2:] == (side, wide)

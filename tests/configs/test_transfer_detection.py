"""Configs of detectors: published settings by value, loading, data, scores, batch statistics."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('mmcv._ext', reason='mmdet needs compiled ops')

from mmdet.registry import DATASETS, MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from mmpretrain.models.backbones import MobileNetV2, ResNet

from mmdssl.datasets.scenes import SceneSpec, write_scenes, write_voc
from mmdssl.engine.config import load_config
from mmdssl.engine.hooks.precise_batch_norm import measure_batch_statistics
from mmdssl.models.backbones import DenseViT
from tests.configs.test_configs import ROOT
from tests.micro_vit import MICRO

FOLDER = ROOT / 'configs/transfer'
CASCADE = FOLDER / 'coco_detection/cascade-mask-rcnn_vit-small-p16_8xb4-1x_coco.py'
MASK = FOLDER / 'coco_detection/mask-rcnn_r50-c4_8xb2-90k_coco.py'
FASTER = FOLDER / 'voc_detection/faster-rcnn_r50-c4_8xb2-24k_voc0712.py'
SMALL_CASCADE = next(FOLDER.glob('scenes_detection/cascade*.py'))
SMALL_MASK = next(FOLDER.glob('scenes_detection/mask*.py'))
SMALL_FASTER = next(FOLDER.glob('voc_detection/*scenes-voc.py'))
MINI_CASCADE = next(FOLDER.glob('coco_detection/cascade*coco-mini.py'))
MINI_MASK = next(FOLDER.glob('coco_detection/mask*coco-mini.py'))
PHOTOS_FASTER = next(FOLDER.glob('photos_detection/faster*.py'))
SMALL = (SMALL_CASCADE, SMALL_MASK, SMALL_FASTER, MINI_CASCADE, MINI_MASK, PHOTOS_FASTER)

NETS = {
    CASCADE: lambda: DenseViT(),
    MASK: lambda: ResNet(depth=50),
    FASTER: lambda: ResNet(depth=50),
    PHOTOS_FASTER: lambda: MobileNetV2(),
    **dict.fromkeys((SMALL_CASCADE, MINI_CASCADE), lambda: DenseViT(arch=MICRO, img_size=128)),
    **dict.fromkeys(
        (SMALL_MASK, SMALL_FASTER, MINI_MASK),
        lambda: ResNet(depth=18, stem_channels=32, base_channels=32),
    ),
}


def write_checkpoint(path: Path, file: Path) -> Path:
    """A backbone that fits the config, with values that no initialisation gives."""
    state = NETS[path]().state_dict()
    for tensor in state.values():
        if tensor.dtype.is_floating_point:
            tensor.copy_(0.05 * torch.rand_like(tensor) + 0.01)
    torch.save({f'backbone.{name}': value for name, value in state.items()}, file)
    return file


def light(path: Path, file: Path | None = None) -> Config:
    """The config with few regions, and started from ``file``."""
    register_all_modules(init_default_scope=False)
    config = load_config(path)
    model = config.model
    stages = model.train_cfg.rcnn
    for stage in stages if isinstance(stages, list) else [stages]:
        stage.sampler.num = 8
    model.test_cfg.rpn.max_per_img = 8
    for part in (model.backbone, model.roi_head.get('shared_head')):
        if part is not None:
            part.init_cfg.checkpoint = str(file)
        if part is not None and 'drop_path_rate' in part:
            part.drop_path_rate = 0.0  # a block that the only image leaves out has no gradient
    return config


def build(path: Path, file: Path):
    model = MODELS.build(light(path, file).model)
    revert_sync_batchnorm(model)
    model.init_weights()
    return model


def one_image(with_mask: bool, side: int = 96) -> dict:
    """A batch of one image with one object."""
    image = torch.randint(0, 256, (3, side, side), dtype=torch.uint8)
    truth = InstanceData(bboxes=torch.tensor([[8.0, 16.0, 56.0, 72.0]]), labels=torch.tensor([0]))
    if with_mask:
        mask = np.zeros((1, side, side), np.uint8)
        mask[0, 16:72, 8:56] = 1
        truth.masks = BitmapMasks(mask, side, side)
    shape = (side, side)
    sample = DetDataSample(
        gt_instances=truth,
        ignored_instances=InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long()),
        metainfo=dict(img_shape=shape, ori_shape=shape, scale_factor=(1.0, 1.0)),
    )
    return dict(inputs=[image], data_samples=[sample])


@pytest.mark.parametrize(
    'path',
    [
        *(pytest.param(path, marks=pytest.mark.slow) for path in (CASCADE, MASK, FASTER)),
        *SMALL,
    ],
)
def test_detector_starts_from_the_file_by_value_and_computes(path, tmp_path):
    file = write_checkpoint(path, tmp_path / 'backbone.pth')
    model = build(path, file)
    stored = torch.load(file, weights_only=True)
    parts = {'backbone.': model.backbone.state_dict()}
    if model.roi_head.with_shared_head:
        parts['backbone.layer4.'] = model.roi_head.shared_head.layer4.state_dict()
    for prefix, state in parts.items():
        for name, tensor in state.items():
            source = stored[prefix + name]
            if name == 'pos_embed' and source.shape != tensor.shape:
                assert tensor.shape == (1, 1 + 50 * 63, 384)
                continue
            assert torch.equal(tensor, source), prefix + name
    assert len(parts) == (2 if 'c4' in path.name else 1)
    batch = one_image(with_mask='mask' in path.name)
    data = model.data_preprocessor(batch, True)
    losses = model.loss(data['inputs'], data['data_samples'])
    values = {n: v for n, v in losses.items() if 'loss' in n}
    total = sum(sum(v) if isinstance(v, list) else v for v in values.values())
    assert torch.isfinite(total)
    total.backward()
    trained = [p for p in model.backbone.parameters() if p.grad is not None and p.grad.any()]
    assert len(trained) > 0.9 * len(list(model.backbone.parameters()))
    model.eval()
    with torch.no_grad():
        found = model.test_step(one_image(with_mask='mask' in path.name))[0].pred_instances
    assert found.bboxes.shape[1] == 4


def test_cascade_config_says_what_was_published():
    config = load_config(CASCADE)
    backbone, roi = config.model.backbone, config.model.roi_head
    assert (backbone.arch, backbone.patch_size) == ('deit-small', 16)
    assert (backbone.img_size, backbone.out_indices) == ((800, 1008), (3, 5, 7, 11))
    assert (backbone.drop_path_rate, backbone.tap_norm) == (0.1, False)
    assert config.model.neck[1].num_outs == 5
    generator = config.model.rpn_head.anchor_generator
    assert (generator.scales, generator.strides) == ([8], [4, 8, 16, 32, 64])
    assert config.model.rpn_head.loss_bbox.beta == pytest.approx(1 / 9)
    assert roi.stage_loss_weights == [1, 0.5, 0.25]
    for head in roi.bbox_head:
        assert (head.num_shared_convs, head.num_shared_fcs, head.fc_out_channels) == (4, 1, 1024)
        assert head.norm_cfg.type == 'SyncBN'
        assert not head.reg_class_agnostic
        assert head.reg_decoded_bbox
        assert (head.loss_bbox.type, head.loss_bbox.loss_weight) == ('GIoULoss', 10.0)
    assert [s.assigner.pos_iou_thr for s in config.model.train_cfg.rcnn] == [0.5, 0.6, 0.7]
    assert (roi.mask_head.num_convs, roi.mask_head.get('norm_cfg')) == (4, None)
    test = config.model.test_cfg
    assert (test.rpn.max_per_img, test.rcnn.score_thr, test.rcnn.max_per_img) == (1000, 0.05, 100)
    optimizer = config.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.betas, optimizer.weight_decay) == (1e-4, (0.9, 0.999), 0.05)
    assert config.optim_wrapper.paramwise_cfg == dict(decay_rate=0.8, decay_pos_cls=True)
    assert 'clip_grad' not in config.optim_wrapper
    warmup, steps = config.param_scheduler
    assert (warmup.start_factor, warmup.end) == (0.001, 500)
    assert (steps.milestones, steps.gamma, config.train_cfg.max_epochs) == ([8, 11], 0.1, 12)
    assert config.train_dataloader.batch_size * 8 == 32


def test_both_resize_policies_are_drawn(tmp_path):
    register_all_modules(init_default_scope=False)
    write_scenes(tmp_path, SceneSpec(), images=2, val_images=1, workers=1, progress=False)
    settings = load_config(CASCADE).train_dataloader.dataset
    settings.update(
        data_root=str(tmp_path),
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img='train/'),
        metainfo=load_config(SMALL_CASCADE).metainfo,
    )
    np.random.seed(0)
    dataset = DATASETS.build(settings)
    shapes = [tuple(dataset[0]['inputs'].shape[1:]) for _ in range(8)]
    plain = {shape for shape in shapes if shape[0] == shape[1]}  # scenes are square
    cropped = {shape for shape in shapes if shape[0] != shape[1]}
    assert plain
    assert cropped
    assert {min(shape) for shape in shapes} <= set(range(480, 801, 32))


def test_small_voc_config_keeps_the_protocol():
    config, published = load_config(SMALL_FASTER), load_config(FASTER)
    assert config.val_evaluator == config.test_evaluator
    for key in ('type', 'iou_thrs', 'eval_mode'):
        assert config.val_evaluator[key] == published.val_evaluator[key]
    hook = config.custom_hooks[-1]
    assert hook.type == published.custom_hooks[-1].type
    assert hook.interval == config.train_cfg.max_iters == config.train_cfg.val_interval
    head = config.model.roi_head
    assert head.shared_head.type == published.model.roi_head.shared_head.type
    assert head.shared_head.get('extra_norm', True)
    assert head.bbox_head.num_classes == len(config.train_dataloader.dataset.metainfo.classes)
    assert 'mask_head' not in head


def scores_of_truth(path: Path, data: Path, shift: float = 0.0) -> dict[str, float]:
    """Scores of the test data's own objects, moved by ``shift`` of their width to the right."""
    register_all_modules(init_default_scope=False)
    config = load_config(path, {'data_root': f'{data}/'})
    init_default_scope('mmdet')
    config.test_dataloader.update(num_workers=0, persistent_workers=False)
    loader = Runner.build_dataloader(config.test_dataloader)
    evaluator = Evaluator(config.test_evaluator)
    evaluator.dataset_meta = loader.dataset.metainfo
    for batch in loader:
        for sample in batch['data_samples']:
            truth = sample.gt_instances
            boxes = truth.bboxes.tensor.clone()
            boxes[:, [0, 2]] += shift * (boxes[:, 2:3] - boxes[:, 0:1])
            sample.pred_instances = InstanceData(
                bboxes=boxes, labels=truth.labels, scores=torch.ones(len(boxes))
            )
            if 'masks' in truth:
                height, width = sample.ori_shape
                sample.pred_instances.masks = truth.masks.to_tensor(torch.bool, 'cpu')
                assert sample.pred_instances.masks.shape[1:] == (height, width)
        evaluator.process(data_samples=batch['data_samples'], data_batch=batch)
    return evaluator.evaluate(len(loader.dataset))


@pytest.fixture(scope='module')
def scenes(tmp_path_factory) -> Path:
    """Scenes in VOC's layout, and in COCO's with people among them."""
    root = tmp_path_factory.mktemp('data')
    write_scenes(root / 'coco', SceneSpec(), images=4, val_images=4, workers=1, progress=False)
    write_voc(root / 'coco', root / 'voc', progress=False)
    for split in ('train', 'val'):
        (root / f'coco/{split}2017').symlink_to(root / 'coco' / split)
        file = root / f'coco/annotations/instances_{split}.json'
        content = json.loads(file.read_text())
        content['categories'][0]['name'] = 'person'
        for annotation in content['annotations'][::2]:
            annotation['category_id'] = 1
        file.with_stem(f'instances_{split}2017').write_text(json.dumps(content))
    return root


def test_voc_data_is_scored_at_ten_thresholds(scenes):
    found = scores_of_truth(SMALL_FASTER, scenes / 'voc')
    assert found['pascal_voc/mAP'] == found['pascal_voc/AP95'] == 1.0
    # IoU 7/9 = 0.78 (VOC counts a box one pixel wider: a little more), so 6 of 10 thresholds
    found = scores_of_truth(SMALL_FASTER, scenes / 'voc', shift=0.125)
    assert found['pascal_voc/AP75'] > 0.9
    assert found['pascal_voc/AP85'] < 0.1
    assert found['pascal_voc/mAP'] == pytest.approx(0.6, abs=0.06)


@pytest.mark.parametrize('path', [MINI_CASCADE, MINI_MASK])
def test_photos_are_scored_at_their_own_size(path, scenes):
    found = scores_of_truth(path, scenes / 'coco')
    assert found['coco/bbox_mAP'] == pytest.approx(1.0, abs=1e-3)
    assert found['coco/segm_mAP'] == pytest.approx(1.0, abs=1e-3)
    assert scores_of_truth(path, scenes / 'coco', shift=0.5)['coco/bbox_mAP_50'] < 0.1


@pytest.mark.parametrize('path', [SMALL_FASTER, SMALL_MASK])
def test_statistics_behind_layer4_are_those_of_the_sampled_regions(path, tmp_path):
    model = build(path, write_checkpoint(path, tmp_path / 'backbone.pth')).train()
    norm, seen = model.roi_head.shared_head.norm, []
    handle = norm.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].clone()))
    batches = [one_image(with_mask=path == SMALL_MASK) for _ in range(3)]
    weights = {name: value.clone() for name, value in model.named_parameters()}
    assert measure_batch_statistics(model, batches) == sum(
        isinstance(m, torch.nn.BatchNorm2d) for m in model.modules()
    )
    handle.remove()
    assert [len(regions) for regions in seen] == [8, 8, 8]  # once a batch, as many as sampled
    values = torch.cat(seen).transpose(0, 1).flatten(1)
    torch.testing.assert_close(norm.running_mean, values.mean(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norm.running_var, values.var(1), rtol=0.02, atol=1e-5)
    assert all(torch.equal(value, weights[name]) for name, value in model.named_parameters())

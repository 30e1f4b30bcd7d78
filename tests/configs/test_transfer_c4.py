"""The two C4 detectors against a table of the protocol of MoCo (detectron2), and each other."""

import pytest
import torch

pytest.importorskip('mmcv._ext', reason='mmdet needs compiled ops')

from mmdet.registry import MODELS
from mmengine.optim import build_optim_wrapper
from mmengine.structures import InstanceData

from mmdssl.engine.config import load_config
from tests.configs.test_transfer_detection import FASTER, MASK, SMALL_MASK, light

# By the place in the config; both twins follow it.
C4_PROTOCOL = {
    'model.data_preprocessor.mean': [123.675, 116.28, 103.53],
    'model.data_preprocessor.std': [58.395, 57.12, 57.375],
    'model.data_preprocessor.bgr_to_rgb': True,
    'model.backbone.depth': 50,
    'model.backbone.num_stages': 3,
    'model.backbone.out_indices': (2,),
    'model.backbone.style': 'pytorch',  # stride in the 3x3 convolution
    'model.backbone.frozen_stages': -1,  # all layers are trained
    'model.backbone.norm_eval': False,
    'model.backbone.norm_cfg': dict(type='SyncBN', requires_grad=True),
    'model.rpn_head.anchor_generator.scales': [2, 4, 8, 16, 32],  # 32 to 512 pixels
    'model.rpn_head.anchor_generator.ratios': [0.5, 1.0, 2.0],
    'model.rpn_head.anchor_generator.strides': [16],
    'model.rpn_head.loss_bbox.type': 'L1Loss',
    'model.train_cfg.rpn.allowed_border': -1,  # anchors across the border count
    'model.train_cfg.rpn.assigner.pos_iou_thr': 0.7,
    'model.train_cfg.rpn.assigner.neg_iou_thr': 0.3,
    'model.train_cfg.rpn.sampler.num': 256,
    'model.train_cfg.rpn.sampler.pos_fraction': 0.5,
    'model.train_cfg.rpn_proposal.nms_pre': 12000,
    'model.train_cfg.rpn_proposal.max_per_img': 2000,
    'model.train_cfg.rpn_proposal.nms.iou_threshold': 0.7,
    'model.train_cfg.rcnn.assigner.pos_iou_thr': 0.5,
    'model.train_cfg.rcnn.assigner.neg_iou_thr': 0.5,
    'model.train_cfg.rcnn.sampler.num': 512,
    'model.train_cfg.rcnn.sampler.pos_fraction': 0.25,
    'model.roi_head.shared_head.type': 'mmdssl.C4SharedHead',  # a norm behind layer4
    'model.roi_head.shared_head.norm_cfg': dict(type='SyncBN', requires_grad=True),
    'model.roi_head.bbox_roi_extractor.roi_layer.output_size': 14,
    'model.roi_head.bbox_roi_extractor.roi_layer.sampling_ratio': 0,
    'model.roi_head.bbox_head.loss_bbox.type': 'L1Loss',
    'model.test_cfg.rpn.nms_pre': 6000,
    'model.test_cfg.rpn.max_per_img': 1000,
    'model.test_cfg.rpn.nms.iou_threshold': 0.7,
    'model.test_cfg.rcnn.score_thr': 0.05,
    'model.test_cfg.rcnn.nms.iou_threshold': 0.5,
    'model.test_cfg.rcnn.max_per_img': 100,
    'optim_wrapper.optimizer': dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=1e-4),
    'optim_wrapper.paramwise_cfg': dict(norm_decay_mult=0.0),
    'param_scheduler.0.type': 'LinearLR',
    'param_scheduler.0.start_factor': 0.001,
    'param_scheduler.1.gamma': 0.1,
    'custom_hooks.-1.type': 'mmdssl.PreciseBatchNormHook',
    'custom_hooks.-1.num_batches': 200,
    'train_dataloader.batch_size': 2,  # on 8 GPUs
    'train_pipeline.2.scales.0.0': 1333,
}
# What differs: COCO, VOC.
C4_TWINS = {
    MASK: {
        'model.type': 'MaskRCNN',
        'model.roi_head.bbox_head.num_classes': 80,
        'model.roi_head.mask_head.num_classes': 80,
        'model.train_cfg.rcnn.mask_size': 14,
        'train_cfg.max_iters': 90000,
        'train_cfg.val_interval': 90000,
        'custom_hooks.-1.interval': 90000,  # before the test and the last checkpoint
        'param_scheduler.0.end': 1000,
        'param_scheduler.1.milestones': [60000, 80000],
        'train_pipeline.2.scales': [(1333, side) for side in range(640, 801, 32)],
        'test_pipeline.1.scale': (1333, 800),
    },
    FASTER: {
        'model.type': 'FasterRCNN',
        'model.roi_head.bbox_head.num_classes': 20,
        'train_cfg.max_iters': 24000,
        'train_cfg.val_interval': 24000,
        'custom_hooks.-1.interval': 24000,
        'param_scheduler.0.end': 100,
        'param_scheduler.1.milestones': [18000, 22000],
        'train_pipeline.2.scales': [(1333, side) for side in range(480, 801, 32)],
        'test_pipeline.1.scale': (1333, 800),
        'val_evaluator.eval_mode': '11points',
        'val_evaluator.iou_thrs': [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95],
    },
}


def at(config, place: str):
    """The value at a dotted place; numbers index lists."""
    for name in place.split('.'):
        config = config[int(name) if name.lstrip('-').isdigit() else name]
    return config


@pytest.mark.parametrize('path', C4_TWINS, ids=['coco', 'voc'])
def test_c4_configs_say_what_was_published(path):
    config = load_config(path)
    wanted = C4_PROTOCOL | C4_TWINS[path]
    assert {place: at(config, place) for place in wanted} == wanted
    assert config.test_evaluator == config.val_evaluator


def test_c4_twins_differ_in_data_task_and_length_only():
    """What mmdet's two base models say differently is not taken over unseen."""
    mask, faster = (load_config(path).model.to_dict() for path in C4_TWINS)
    unlike = set()

    def compare(one, two, place: str) -> None:
        if isinstance(one, dict) and isinstance(two, dict):
            for name in one.keys() | two.keys():
                compare(one.get(name), two.get(name), f'{place}.{name}')
        elif one != two:
            unlike.add(place)

    compare(mask, faster, 'model')
    assert unlike == {
        'model.type',
        'model.data_preprocessor.pad_mask',
        'model.roi_head.bbox_head.num_classes',
        'model.roi_head.mask_head',
        'model.train_cfg.rcnn.mask_size',
        'model.test_cfg.rcnn.mask_thr_binary',
    }


@pytest.mark.parametrize('path', C4_TWINS, ids=['coco', 'voc'])
def test_norms_of_c4_detectors_do_not_decay_and_all_else_does(path):
    model = MODELS.build(light(SMALL_MASK).model)
    wrapper = build_optim_wrapper(model, load_config(path).optim_wrapper)
    decay = {
        id(parameter): group['weight_decay']
        for group in wrapper.optimizer.param_groups
        for parameter in group['params']
    }
    norms = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
        for parameter in module.parameters()
    }
    assert id(model.roi_head.shared_head.norm.weight) in norms
    assert {decay[key] for key in norms} == {0.0}
    assert {value for key, value in decay.items() if key not in norms} == {1e-4}


@pytest.mark.parametrize('border', [0, -1])
def test_anchors_across_the_border_train_where_the_border_is_not_kept(border):
    """What the setting does, in mmdet's own hands: with 0 such anchors have no target."""
    config = light(SMALL_MASK).model
    assert config.train_cfg.rpn.allowed_border == -1
    config.train_cfg.rpn.allowed_border = border
    head = MODELS.build(config).rpn_head
    anchors = head.prior_generator.grid_priors([(6, 6)], device='cpu')[0]
    inside = (anchors[:, :2] >= 0).all(1) & (anchors[:, 2:] < 96).all(1)
    assert 0 < inside.sum() < len(anchors)
    truth = InstanceData(bboxes=torch.tensor([[0.0, 0.0, 40.0, 40.0]]), labels=torch.tensor([0]))
    weights = head._get_targets_single(
        anchors,
        torch.ones(len(anchors), dtype=torch.bool),
        truth,
        dict(img_shape=(96, 96)),
    )[1]
    assert bool(weights[~inside].any()) is (border < 0)

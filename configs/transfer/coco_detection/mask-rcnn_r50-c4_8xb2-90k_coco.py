"""Mask R-CNN R50-C4, 1x (90k iterations) on COCO: the MoCo protocol.

Reproduces: Mind Your Augmentation (ICLR 2024), Table 1, detection and instance segmentation on
    COCO; D3SSL, Table 1.
Command: mmdssl convert export work_dirs/RUN/epoch_800.pth --to mmdet \
        --out weights/resnet50_mmdet.pth
    tools/dist_train.sh configs/transfer/coco_detection/mask-rcnn_r50-c4_8xb2-90k_coco.py 8
    Another file: --cfg-options model.backbone.init_cfg.checkpoint=FILE \
        model.roi_head.shared_head.init_cfg.checkpoint=FILE
Costs: not measured; 8 GPUs.
Published: box AP and mask AP: MoCo v2 37.8, 32.9; DenseCL 38.5, 33.6; DenseCL-D 39.3, 34.2;
    SoCo 38.5, 33.4; SoCo-D 40.3, 35.1; D3SSL 40.3, 35.1 in its own paper.
Measured: not measured.
"""

_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50-caffe-c4.py',
    'mmdet::_base_/datasets/coco_instance.py',
    '../_base_/c4_resnet50.py',
    '../_base_/detection_runtime.py',
    '../_base_/c4_90k.py',
]

train_pipeline = [
    dict(type='LoadImageFromFile', backend_args=None),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(
        type='RandomChoiceResize',
        scales=[(1333, side) for side in range(640, 801, 32)],
        keep_ratio=True,
    ),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(sampler=dict(type='InfiniteSampler'), dataset=dict(pipeline=train_pipeline))

model = _base_.c4_model
custom_hooks = [*_base_.custom_hooks, _base_.precise_bn]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=5000))
log_processor = dict(by_epoch=False)

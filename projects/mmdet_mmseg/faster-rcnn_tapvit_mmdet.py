"""Faster R-CNN on a ViT pre-trained by this package, as a config of mmdet: one import is added.

Purpose: mmdet's faster-rcnn_r50_fpn_1x_coco.py with another backbone, small enough for
    a CPU, on generated scenes or any data set in COCO's format.
Command: python MMDETECTION/tools/train.py projects/mmdet_mmseg/faster-rcnn_tapvit_mmdet.py
    (or mmdssl train of this package), see README.md beside this file for what comes before
Measured: see README.md beside this file.
"""

_base_ = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
custom_imports = dict(imports=['mmdssl'], allow_failed_imports=False)

# What was pre-trained. ViT-S/16: arch='deit-small', width 384, taps (3, 5, 7, 11), side 800 or so.
pretrained = 'weights/vit-micro-p16_mmdet.pth'
arch = dict(embed_dims=192, num_layers=4, num_heads=3, feedforward_channels=768)
width, taps, side = 192, (0, 1, 2, 3), 128

# What is to be found, named as in the json.
data_root = 'data/scenes/'
classes = tuple(
    f'{texture}_{shape}'
    for shape in ('disc', 'triangle', 'star', 'cross')
    for texture in ('striped', 'checked', 'dotted', 'ringed')
)

bn = dict(type='BN')  # SyncBN on several GPUs
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdssl.TapViT',
        arch=arch,
        img_size=side,
        out_indices=taps,
        init_cfg=dict(type='mmdssl.PretrainedBackbone', checkpoint=pretrained),
    ),
    neck=[
        dict(type='mmdssl.DeconvPyramid', in_channels=width, norm_cfg=bn),
        dict(type='FPN', in_channels=[width] * 4, out_channels=256, num_outs=5),
    ],
    rpn_head=dict(anchor_generator=dict(scales=[6])),
    roi_head=dict(bbox_head=dict(num_classes=len(classes))),
    # fewer regions than mmdet's 1000 and 512: a CPU
    train_cfg=dict(rpn_proposal=dict(max_per_img=100), rcnn=dict(sampler=dict(num=64))),
    test_cfg=dict(rpn=dict(max_per_img=100)),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(side, side), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(side, side), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        data_root=data_root,
        metainfo=dict(classes=classes),
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img='train/'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    dataset=dict(
        data_root=data_root,
        metainfo=dict(classes=classes),
        ann_file='annotations/instances_val.json',
        data_prefix=dict(img='val/'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/instances_val.json')
test_evaluator = val_evaluator

train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=300, val_interval=300)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=10.0),
    # lr * 0.8 ** depth below the heads: what was pre-trained moves less
    constructor='mmdssl.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(decay_rate=0.8),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.01, by_epoch=False, begin=30, end=300),
]
custom_hooks = [dict(type='mmdssl.RandomStateHook')]
default_hooks = dict(
    logger=dict(interval=10),
    # mmengine's CheckpointHook works as well; this one's files are plain and never half written
    checkpoint=dict(
        _delete_=True,
        type='mmdssl.SafeCheckpointHook',
        by_epoch=False,
        interval=100,
        max_keep_ckpts=1,
    ),
)
log_processor = dict(by_epoch=False)

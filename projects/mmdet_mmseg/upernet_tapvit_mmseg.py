"""UPerNet on a ViT pre-trained by this package, as a config of mmseg: one import is added.

Purpose: UPerNet small enough for a CPU, on generated scenes or any folders of images
    and label maps.
Command: python MMSEGMENTATION/tools/train.py projects/mmdet_mmseg/upernet_tapvit_mmseg.py
    (or mmdssl train of this package), see README.md beside this file for what comes before
Measured: see README.md beside this file.
"""

# In a checkout of mmseg inherit its ../_base_ files instead of the last part of this one.
default_scope = 'mmseg'
custom_imports = dict(imports=['mmdssl'], allow_failed_imports=False)

# What was pre-trained. ViT-S/16: arch='deit-small', width 384, taps (3, 5, 7, 11), side 512.
pretrained = 'weights/vit-micro-p16_mmseg.pth'
arch = dict(embed_dims=192, num_layers=4, num_heads=3, feedforward_channels=768)
width, taps, side = 192, (0, 1, 2, 3), 128

# What is to be segmented, in the order of the values in the label maps.
data_root = 'data/scenes/'
classes = ['background'] + [
    f'{texture}_{shape}'
    for shape in ('disc', 'triangle', 'star', 'cross')
    for texture in ('striped', 'checked', 'dotted', 'ringed')
]

bn = dict(type='BN')  # SyncBN on several GPUs
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=(side, side),
    ),
    backbone=dict(
        type='mmdssl.TapViT',
        arch=arch,
        img_size=side,
        out_indices=taps,
        tap_norm=True,  # segmentation: the network's final norm at every tap
        init_cfg=dict(type='mmdssl.PretrainedBackbone', checkpoint=pretrained),
    ),
    neck=dict(type='mmdssl.DeconvPyramid', in_channels=width, norm_cfg=bn),
    decode_head=dict(
        type='UPerHead',
        in_channels=[width] * 4,
        in_index=[0, 1, 2, 3],
        pool_scales=(1, 2, 3, 6),
        channels=64,
        dropout_ratio=0.1,
        num_classes=len(classes),
        norm_cfg=bn,
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(side, side), ratio_range=(0.8, 1.5), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(side, side), cat_max_ratio=0.9),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(side, side)),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
dataset_type = 'BaseSegDataset'
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=dict(classes=classes),
        data_prefix=dict(img_path='train', seg_map_path='semantic/train'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=dict(classes=classes),
        data_prefix=dict(img_path='val', seg_map_path='semantic/val'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator

train_cfg = dict(type='IterBasedTrainLoop', max_iters=300, val_interval=300)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=10.0),
    # lr * 0.9 ** depth below the heads: what was pre-trained moves less
    constructor='mmdssl.LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(decay_rate=0.9),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.01, by_epoch=False, begin=30, end=300),
]

custom_hooks = [dict(type='mmdssl.RandomStateHook')]
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=10, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # mmengine's CheckpointHook works as well; this one's files are plain and never half written
    checkpoint=dict(
        type='mmdssl.SafeCheckpointHook', by_epoch=False, interval=100, max_keep_ckpts=1
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='SegVisualizationHook'),
)
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
visualizer = dict(
    type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer'
)
log_processor = dict(by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False

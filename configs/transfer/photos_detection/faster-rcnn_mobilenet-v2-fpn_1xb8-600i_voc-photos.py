"""Faster R-CNN from a MobileNetV2 on a few thousand photos: a CPU core, a quarter of an hour.

Purpose: the difference that a detector sees between two backbones, where no GPU is at hand.
Command: mmdssl convert export CHECKPOINT --to mmdet --out weights/mobilenet-v2_mmdet.pth
    mmdssl train \
        configs/transfer/photos_detection/faster-rcnn_mobilenet-v2-fpn_1xb8-600i_voc-photos.py
    photos and boxes in data/photos/voc/, or --cfg-options data_root=FOLDER
Measured: AP 9.2, AP50 17.8 from ImageNet, 0.8, 2.4 untrained (one seed; configs/photos).
"""

_base_ = [
    'mmdet::_base_/models/faster-rcnn_r50_fpn.py',
    '../_base_/voc_photos_instance.py',
    '../_base_/detection_runtime_300i.py',
    '../_base_/adamw_300i.py',
]

custom_imports = dict(imports=['mmdssl', 'mmpretrain.models'])
pretrained = 'weights/mobilenet-v2_mmdet.pth'
# A narrow pyramid that begins at stride 8: all objects are at least a hundredth of the photo.
channels = 96
strides = [8, 16, 32, 64]
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmpretrain.MobileNetV2',
        out_indices=(2, 4, 7),
        init_cfg=dict(type='mmdssl.PretrainedBackbone', checkpoint=pretrained),
    ),
    neck=dict(in_channels=[32, 96, 1280], out_channels=channels, num_outs=4),
    rpn_head=dict(
        in_channels=channels,
        feat_channels=channels,
        anchor_generator=dict(scales=[4], strides=strides),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=channels, featmap_strides=strides[:3]),
        bbox_head=dict(in_channels=channels, fc_out_channels=256, num_classes=20),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=200), rcnn=dict(sampler=dict(num=64))
    ),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=100)),
)
train_cfg = dict(max_iters=600, val_interval=600)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=60),
    dict(type='CosineAnnealingLR', eta_min_ratio=0.01, by_epoch=False, begin=60, end=600),
]
optim_wrapper = dict(optimizer=dict(lr=5e-4))
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='mmdssl.PreciseBatchNormHook', num_batches=50, interval=600),
]

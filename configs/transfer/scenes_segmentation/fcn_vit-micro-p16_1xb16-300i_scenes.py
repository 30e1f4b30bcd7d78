"""FCN probe of the small ViT, on generated scenes: a CPU, minutes.

Purpose: CPU-sized version of the probes on VOC12.
Command: mmdssl convert export \
        work_dirs/leopart_vit-micro-p16_1xb24-200i_scenes/iter_200.pth --to mmseg \
        --out weights/vit-micro-p16_mmseg.pth
    mmdssl train \
        configs/transfer/scenes_segmentation/fcn_vit-micro-p16_1xb16-300i_scenes.py
Measured: see README.md beside this file.
"""

_base_ = [
    '../_base_/fcn_probe_vit-small-p16.py',
    '../_base_/scenes_semantic.py',
    '../_base_/adamw_300i.py',
    '../_base_/segmentation_runtime.py',
]

custom_imports = dict(imports=['mmdssl'], allow_failed_imports=False)
pretrained = 'weights/vit-micro-p16_mmseg.pth'
model = dict(
    map_size=64,
    data_preprocessor=dict(size=(128, 128)),
    backbone=dict(
        arch=dict(
            _delete_=True, embed_dims=192, num_layers=4, num_heads=3, feedforward_channels=768
        ),
        img_size=128,
        out_indices=(3,),
        init_cfg=dict(checkpoint=pretrained),
    ),
    decode_head=dict(in_channels=192, channels=64, num_classes=17),
)
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='MapFromObjects'),
    dict(type='RandomResizedCropWithMap', size=128, map_size=64, scale=(0.8, 1.0)),
    dict(type='mmseg.RandomFlip', prob=0.5),
    dict(type='mmseg.PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImage'),
    dict(type='MapFromObjects'),
    dict(type='ResizeWithMap', size=128, map_size=64),
    dict(type='mmseg.PackSegInputs'),
]
train_dataloader = dict(batch_size=16, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=100, max_keep_ckpts=1))

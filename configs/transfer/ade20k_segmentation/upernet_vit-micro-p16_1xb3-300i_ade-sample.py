"""UPerNet from the small ViT on a handful of ADE20K photos: a CPU, minutes.

Purpose: CPU-sized version of upernet_vit-small-p16_8xb2-160k_ade20k-512x512.py,
    trained and scored on the same few photos: shows that all parts work on real label maps.
Command: mmdssl train configs/scenes/ibot_vit-micro-p16_1xb24-250i_scenes.py
    mmdssl convert export \
        work_dirs/ibot_vit-micro-p16_1xb24-250i_scenes/iter_250.pth --to mmseg \
        --out weights/vit-micro-p16_mmseg.pth
    mmdssl train \
        configs/transfer/ade20k_segmentation/upernet_vit-micro-p16_1xb3-300i_ade-sample.py
    --cfg-options data_root=FOLDER, a folder with images/ and annotations/
Measured: see README.md beside this file.
"""

_base_ = [
    '../_base_/upernet_vit-micro-p16.py',
    '../_base_/ade20k_512x512.py',
    '../_base_/adamw_300i.py',
    '../_base_/segmentation_runtime.py',
]

data_root = 'data/ade_sample/'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmseg.LoadAnnotations'),
    dict(type='RandomResize', scale=(512, 128), ratio_range=(1.0, 1.5), keep_ratio=True),
    dict(type='mmseg.RandomCrop', crop_size=(128, 128), cat_max_ratio=0.75),
    dict(type='mmseg.RandomFlip', prob=0.5),
    dict(type='mmseg.PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(512, 128), keep_ratio=True),
    dict(type='mmseg.LoadAnnotations'),
    dict(type='mmseg.PackSegInputs'),
]
files = dict(data_root=data_root, data_prefix=dict(img_path='images', seg_map_path='annotations'))
train_dataloader = dict(batch_size=3, num_workers=1, dataset=dict(**files, pipeline=train_pipeline))
val_dataloader = dict(num_workers=1, dataset=dict(**files, pipeline=test_pipeline))
test_dataloader = val_dataloader
optim_wrapper = dict(
    constructor='mmdssl.LayerDecayOptimWrapperConstructor', paramwise_cfg=dict(decay_rate=0.9)
)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=100, max_keep_ckpts=1))

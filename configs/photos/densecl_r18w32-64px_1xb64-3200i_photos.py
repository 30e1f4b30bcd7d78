"""DenseCL, half-width ResNet-18, 64 px views, from nothing on a few thousand photos: a CPU core.

Purpose: whether CPU cores learn about objects from a few thousand photos in an hour.
Command: mmdssl train configs/photos/densecl_r18w32-64px_1xb64-3200i_photos.py
    --amp bf16 --cfg-options data_root=PHOTOS
Measured: see README.md beside this file.
"""

_base_ = [
    '../_base_/models/densecl_resnet18w32-128px.py',
    '../_base_/datasets/mocov2_views_128px.py',
    '../_base_/datasets/photos_loader.py',
    '../_base_/datasets/photos_object_knn_128px.py',
    '../_base_/schedules/densecl_sgd_1xb32-250i.py',
    '../default_runtime.py',
]

crop = [
    dict(
        type='RandomResizedCropWithBoxes',
        size=64,
        scale=(0.2, 1.0),
        ratio=(3 / 4, 4 / 3),
        interpolation='bilinear',
    ),
    dict(type='RandomFlipWithBoxes', prob=0.5),
]
decoupled_pipeline = [
    dict(type='LoadImage'),
    dict(type='MultiViewWithBoxes', num_views=[2], pipelines=[crop + _base_.branch_mask]),
    dict(type='PackViews', keys=('dc_mask',)),
]
colour = dict(
    jitter=dict(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.05, prob=0.8),
    grayscale=0.1,
)
# The last stage keeps the resolution: 4x4 cells, so that at 128 px nothing is enlarged before it.
# Against a queue this net learns nothing: it tells keys by their age.
model = dict(
    backbone=dict(strides=(1, 2, 2, 1)),
    loss_lambda=0.3,
    negatives='batch',
    momentum=(0.95, 0.99),
    data_preprocessor=dict(_base_.data_preprocessor, channels_last=True, policies=[colour, colour]),
)
efficiency = dict(workers=1)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImage'),
            dict(type='MultiViewWithBoxes', num_views=[2], pipelines=[crop]),
            dict(type='PackViews'),
        ]
    ),
)
train_cfg = dict(max_iters=3200)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.01))
param_scheduler = [
    dict(type='WarmupCosine', param_name='lr', warmup_iters=50, eta_min=0.0, by_epoch=False)
]
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='ObjectKNNHook', interval=800, by_epoch=False, initial=True, upsample_c4=False),
]
default_hooks = dict(
    logger=dict(interval=50), checkpoint=dict(by_epoch=False, interval=400, max_keep_ckpts=1)
)
log_processor = dict(by_epoch=False)

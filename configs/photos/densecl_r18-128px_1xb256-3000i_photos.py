"""DenseCL, ResNet-18 at 128 px, from nothing on a few thousand photos: one GPU, minutes.

Purpose: does a short run on photos learn about objects?
Command: mmdssl train configs/photos/densecl_r18-128px_1xb256-3000i_photos.py
    --amp bf16 --cfg-options data_root=PHOTOS
Measured: see README.md beside this file.
"""

_base_ = [
    '../_base_/models/densecl_resnet18w32-128px.py',
    '../_base_/datasets/mocov2_views_128px.py',
    '../_base_/datasets/photos_loader.py',
    '../_base_/datasets/photos_object_knn.py',
    '../_base_/schedules/densecl_sgd_1xb32-250i.py',
    '../default_runtime.py',
]

colour = dict(
    jitter=dict(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, prob=0.8),
    grayscale=0.2,
    blur=dict(prob=0.5, sigma=(0.1, 1.0)),
)
model = dict(
    backbone=dict(stem_channels=64, base_channels=64),
    neck=dict(in_channels=512, hid_channels=512),
    queue_length=4096,
    data_preprocessor=dict(_base_.data_preprocessor, policies=[colour, colour]),
)
efficiency = dict(channels_last=True)
train_dataloader = dict(batch_size=256, dataset=dict(pipeline=_base_.plain_pipeline))
train_cfg = dict(max_iters=3000)
optim_wrapper = dict(optimizer=dict(lr=0.12))
param_scheduler = [
    dict(type='WarmupCosine', param_name='lr', warmup_iters=150, eta_min=0.0, by_epoch=False)
]
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='ObjectKNNHook', interval=500, by_epoch=False, initial=True),
]
default_hooks = dict(
    logger=dict(interval=50), checkpoint=dict(by_epoch=False, interval=500, max_keep_ckpts=1)
)
log_processor = dict(by_epoch=False)

"""DenseCL goes on from a given MobileNetV2 on photos, at a low rate: a CPU core, minutes.

Purpose: what post-training with a host that is not made for it does to given features.
Command: mmdssl train configs/photos/densecl_mobilenet-v2-128px_1xb32-150i_photos.py
    --amp bf16 --cfg-options data_root=PHOTOS model.init=FILE
    FILE: mmpretrain's mobilenet_v2_batch256_imagenet
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

model = dict(
    backbone=dict(_delete_=True, type='MobileNetV2'),
    init='mobilenet_v2_imagenet.pth',
    neck=dict(in_channels=1280),
    negatives='batch',
    momentum=(0.99, 0.99),
)
efficiency = dict(workers=1)
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=_base_.plain_pipeline))
train_cfg = dict(max_iters=150)
optim_wrapper = dict(optimizer=dict(lr=0.003))
param_scheduler = [
    dict(type='WarmupCosine', param_name='lr', warmup_iters=15, eta_min=0.0, by_epoch=False)
]
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='ObjectKNNHook', interval=150, by_epoch=False, initial=True),
]
default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(by_epoch=False, interval=50, max_keep_ckpts=1)
)
log_processor = dict(by_epoch=False)

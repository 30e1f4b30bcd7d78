"""iBOT, ViT-S/16 at 128 px, from nothing on a few thousand photos: one GPU, minutes.

Purpose: does a short run on photos learn about objects?
Command: mmdssl train configs/photos/ibot_vit-small-p16-128px_1xb256-3000i_photos.py
    --amp bf16 --cfg-options data_root=PHOTOS
Measured: see README.md beside this file.
"""

_base_ = [
    '../_base_/models/ibot_vit-small-p16.py',
    '../_base_/datasets/ibot_views_128px.py',
    '../_base_/datasets/photos_loader.py',
    '../_base_/datasets/photos_object_knn_128px.py',
    '../_base_/schedules/ibot_adamw_1xb24-250i.py',
    '../default_runtime.py',
]

# A teacher that follows within a hundred steps and targets of one sharpness: the run is short.
model = dict(
    backbone=dict(img_size=128, drop_path_rate=0.0),
    head=dict(out_channels=4096),
    loss=dict(teacher_temp=(0.04, 0.04), teacher_patch_temp=(0.04, 0.04), warmup_epochs=0),
    momentum=(0.99, 1.0),
    data_preprocessor=_base_.data_preprocessor,
)
train_dataloader = dict(batch_size=256, dataset=dict(pipeline=_base_.block_pipeline))
train_cfg = dict(max_iters=3000)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='WarmupCosine', param_name='lr', warmup_iters=300, eta_min=1e-6, by_epoch=False),
]
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='ObjectKNNHook', interval=500, by_epoch=False, initial=True),
]
default_hooks = dict(
    logger=dict(interval=50), checkpoint=dict(by_epoch=False, interval=500, max_keep_ckpts=1)
)
log_processor = dict(by_epoch=False)

"""D3SSL, half-width ResNet-18, 96 px views, from nothing on a few thousand photos: a CPU core.

Purpose: what the region augmentations and the de-positioning loss change on photos, in minutes.
Command: mmdssl train configs/photos/d3ssl_r18w32-96px_1xb32-400i_photos.py
    --amp bf16 --cfg-options data_root=PHOTOS
Measured: see README.md beside this file.
"""

_base_ = [
    '../_base_/models/d3ssl_resnet18w32-128px.py',
    '../_base_/datasets/d3ssl_views_128px.py',
    '../_base_/datasets/photos_loader.py',
    '../_base_/datasets/photos_random_boxes.py',
    '../_base_/datasets/photos_object_knn_128px.py',
    '../_base_/schedules/densecl_sgd_1xb32-250i.py',
    '../default_runtime.py',
]

from mmdssl.core.config_parts import changed  # _base_ comes first: this is no lazy config

_small = (
    (dict(size=128), dict(size=96)),
    (dict(mask_size=64), dict(mask_size=48)),
)
d3ssl_pipeline = _base_.load + changed(_base_.d3ssl_steps, _small)
wo_depos_pipeline = _base_.load + changed(_base_.wo_depos_steps, _small)
# C4 of 6x6 cells, and of 3x3 for x2s.
model = dict(
    small_size=48,
    negatives='batch',
    momentum=(0.95, 0.99),
    data_preprocessor=dict(_base_.data_preprocessor, channels_last=True),
)
efficiency = dict(workers=1)
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=d3ssl_pipeline))
train_cfg = dict(max_iters=400)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.01))
param_scheduler = [
    dict(type='WarmupCosine', param_name='lr', warmup_iters=20, eta_min=0.0, by_epoch=False)
]
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='ObjectKNNHook', interval=200, by_epoch=False, initial=True),
]
default_hooks = dict(
    logger=dict(interval=25), checkpoint=dict(by_epoch=False, interval=100, max_keep_ckpts=1)
)
log_processor = dict(by_epoch=False)

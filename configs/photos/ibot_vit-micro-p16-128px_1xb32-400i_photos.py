"""iBOT, ViT of width 192 and depth 4 at 128 px, from nothing on a few thousand photos: a CPU core.

Purpose: what masks and the branch change on photos, in minutes.
Command: mmdssl train configs/photos/ibot_vit-micro-p16-128px_1xb32-400i_photos.py
    --amp bf16 --cfg-options data_root=PHOTOS
Measured: see README.md beside this file.
"""

_base_ = [
    '../_base_/models/ibot_vit-micro-p16.py',
    '../_base_/datasets/ibot_views_128px.py',
    '../_base_/datasets/photos_loader.py',
    '../_base_/datasets/photos_object_knn_128px.py',
    '../_base_/schedules/ibot_adamw_1xb24-250i.py',
    '../default_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
efficiency = dict(workers=1)
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=_base_.block_pipeline))
train_cfg = dict(max_iters=400)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='ObjectKNNHook', interval=200, by_epoch=False, initial=True),
]
default_hooks = dict(
    logger=dict(interval=25), checkpoint=dict(by_epoch=False, interval=100, max_keep_ckpts=1)
)
log_processor = dict(by_epoch=False)

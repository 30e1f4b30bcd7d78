"""iBOT goes on from a distilled ViT of width 192 and depth 4 on photos, 128 px: a CPU core.

Purpose: what masks and the branch change on photos, in minutes; from nothing iBOT takes hours.
Command: mmdssl train configs/photos/ibot_vit-micro-p16-128px_1xb32-200i_photos.py
    --amp bf16 --cfg-options data_root=PHOTOS model.init=FILE
    FILE: the end of crossdistill_vit-micro-p16-128px_1xb32-1500i_photos.py, beside this file
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

model = dict(
    init='vit-micro_distilled.pth',
    momentum=(0.99, 0.99),
    data_preprocessor=_base_.data_preprocessor,
)
efficiency = dict(workers=1)
train_dataloader = dict(batch_size=32, dataset=dict(pipeline=_base_.block_pipeline))
train_cfg = dict(max_iters=200)
optim_wrapper = dict(optimizer=dict(lr=3e-4))
param_scheduler = [dict(_base_.param_scheduler[0], warmup_iters=20)]
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='ObjectKNNHook', interval=200, by_epoch=False, initial=True),
]
default_hooks = dict(
    logger=dict(interval=25), checkpoint=dict(by_epoch=False, interval=50, max_keep_ckpts=1)
)
log_processor = dict(by_epoch=False)

"""SoCo, half-width ResNet-18, 96 px views, from nothing on a few thousand photos: a CPU core.

Purpose: whether CPU cores learn about objects from a few thousand photos in an hour.
Command: mmdssl train configs/photos/soco_r18w32-96px_1xb64-600i_photos.py
    --amp bf16 --cfg-options data_root=PHOTOS
Measured: see README.md beside this file.
"""

_base_ = [
    '../_base_/models/soco_resnet18w32-c4-128px.py',
    '../_base_/datasets/soco_views_128px.py',
    '../_base_/datasets/photos_loader.py',
    '../_base_/datasets/photos_random_boxes.py',
    '../_base_/datasets/photos_object_knn_128px.py',
    '../_base_/schedules/soco_lars_1xb32-250i.py',
    '../default_runtime.py',
]

crop = dict(
    type='RandomResizedCropWithBoxes', size=96, ratio=(3 / 4, 4 / 3), interpolation='bilinear'
)
views = [
    [dict(crop, scale=(0.5, 1.0)), _base_.flip],
    [dict(crop, scale=(0.3, 1.0)), _base_.flip],
]
common = dict(_base_.common, pipelines=views)
decoupled_pipeline = [
    *_base_.load,
    dict(
        common,
        finish=[_base_.no_erase + _base_.branch_mask, _base_.square_erase + _base_.branch_mask],
    ),
    dict(type='PackViews', keys=('boxes', 'box_ids', 'erase', 'dc_mask')),
]
model = dict(data_preprocessor=dict(_base_.data_preprocessor, channels_last=True))
efficiency = dict(workers=1)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            *_base_.load,
            dict(common, finish=[_base_.no_erase, _base_.square_erase]),
            dict(type='PackViews', keys=('boxes', 'box_ids', 'erase')),
        ]
    ),
)
train_cfg = dict(max_iters=600)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='ObjectKNNHook', interval=150, by_epoch=False, initial=True),
]
default_hooks = dict(
    logger=dict(interval=25), checkpoint=dict(by_epoch=False, interval=75, max_keep_ckpts=1)
)
log_processor = dict(by_epoch=False)

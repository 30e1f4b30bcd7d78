"""ReSim, half-width ResNet-18, 96 px views, from nothing on a few thousand photos: a CPU core.

Purpose: windows of both views that show one place, beside the other methods of this folder.
Command: mmdssl train configs/photos/resim_r18w32-96px_1xb64-600i_photos.py
    --amp bf16 --cfg-options data_root=PHOTOS
Measured: see README.md beside this file.
"""

_base_ = [
    '../_base_/models/resim_resnet18w32-128px.py',
    '../_base_/datasets/mocov2_views_128px.py',
    '../_base_/datasets/photos_loader.py',
    '../_base_/datasets/photos_object_knn_128px.py',
    '../_base_/schedules/densecl_sgd_1xb32-250i.py',
    '../default_runtime.py',
]

# Both views mirrored or neither, decided before they are cropped.
crop = [
    dict(
        type='RandomResizedCropWithBoxes',
        size=96,
        scale=(0.2, 1.0),
        ratio=(3 / 4, 4 / 3),
        interpolation='bilinear',
    ),
]
model = dict(
    momentum=(0.95, 0.99),
    data_preprocessor=dict(_base_.data_preprocessor, aug_order='ibot_d', channels_last=True),
)
efficiency = dict(workers=1)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImage'),
            dict(type='RandomFlipWithBoxes', prob=0.5),
            dict(type='MultiViewWithBoxes', num_views=[2], pipelines=[crop]),
            dict(type='PackViews', keys=('crop_box', 'flip')),
        ]
    ),
)
train_cfg = dict(max_iters=600)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.01),
    paramwise_cfg=dict(custom_keys=dict(head=dict(decay_mult=1.0))),
)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='ObjectKNNHook', interval=200, by_epoch=False, initial=True),
]
default_hooks = dict(
    logger=dict(interval=25), checkpoint=dict(by_epoch=False, interval=100, max_keep_ckpts=1)
)
log_processor = dict(by_epoch=False)

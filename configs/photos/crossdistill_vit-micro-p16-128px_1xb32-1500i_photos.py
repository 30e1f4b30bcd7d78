"""A ViT of width 192 and depth 4 learns the cells of a given MobileNetV2 on photos: a CPU core.

Purpose: a small vision transformer that knows objects, for hosts that are slow to begin.
Command: mmdssl train configs/photos/crossdistill_vit-micro-p16-128px_1xb32-1500i_photos.py
    --amp bf16 --cfg-options data_root=PHOTOS model.teacher.checkpoint=FILE
    FILE: mmpretrain's mobilenet_v2_batch256_imagenet
Measured: see README.md beside this file.
"""

_base_ = [
    '../_base_/models/ibot_vit-micro-p16.py',
    '../_base_/datasets/photos_one_view.py',
    '../_base_/datasets/photos_object_knn_128px.py',
    '../_base_/schedules/ibot_adamw_1xb24-250i.py',
    '../default_runtime.py',
]

# A cell of the teacher, of stride 32, is as wide as 4/3 patches of the student: 6 x 6 for 8 x 8.
model = dict(
    _delete_=True,
    type='CrossDistillation',
    backbone=dict(_base_.model.backbone, with_mask_token=False),
    neck=dict(type='PointMLP', in_channels=192, hidden_channels=0, out_channels=1280, num_layers=1),
    teacher=dict(
        type='FrozenMaps',
        backbone=dict(type='MobileNetV2'),
        checkpoint='mobilenet_v2_imagenet.pth',
        scale=1.5,
    ),
    data_preprocessor=_base_.data_preprocessor,
)
crop = [dict(_base_.crop[0], size=128, scale=(0.3, 1.0)), _base_.crop[1]]
efficiency = dict(workers=1, channels_last=True)
train_dataloader = dict(
    batch_size=32,
    dataset=dict(
        pipeline=[
            dict(type='LoadImage'),
            dict(type='MultiViewWithBoxes', num_views=[1], pipelines=[crop]),
            dict(type='PackViews'),
        ]
    ),
)
train_cfg = dict(max_iters=1500)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='ObjectKNNHook', interval=500, by_epoch=False, initial=True),
]
default_hooks = dict(
    logger=dict(interval=25), checkpoint=dict(by_epoch=False, interval=100, max_keep_ckpts=1)
)
log_processor = dict(by_epoch=False)

"""DenseCL in the demo: quarter-width ResNet-18, 64 px views, one CPU core, minutes.

Purpose: `make demo` runs this beside DenseCL-D.
Command: mmdssl scenes data/demo --preset demo
    mmdssl train configs/scenes/densecl_r18w16-64px_1xb32-150i_scenes.py
    --cfg-options data_root=data/demo
Measured: see README.md beside this file.
"""

_base_ = './densecl_r18w32-128px_1xb32-250i_scenes.py'

_crop = [
    dict(
        type='RandomResizedCropWithBoxes',
        size=64,
        scale=(0.2, 0.7),
        ratio=(3 / 4, 4 / 3),
        interpolation='bilinear',
    ),
    dict(type='RandomFlipWithBoxes', prob=0.5),
]
decoupled_pipeline = [
    dict(type='LoadImage'),
    dict(type='MultiViewWithBoxes', num_views=[2], pipelines=[_crop + _base_.branch_mask]),
    dict(type='PackViews', keys=('dc_mask',)),
]

# Half the width of the configs with 128 px views, and a last stage that keeps the resolution: a
# step costs an eighth. The queue holds 16 batches, and the teacher follows within 20 steps.
model = dict(
    backbone=dict(stem_channels=16, base_channels=16, strides=(1, 2, 2, 1)),
    neck=dict(in_channels=128),
    queue_length=512,
    momentum=(0.95, 0.99),
)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImage'),
            dict(type='MultiViewWithBoxes', num_views=[2], pipelines=[_crop]),
            dict(type='PackViews'),
        ]
    )
)
# Scenes of 96 px, measured as they are.
object_knn_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImage'),
            dict(type='SelectObjects', select='all'),
            dict(type='ResizeWithBoxes', size=96),
        ]
    )
)
# O-KNN at the start, after a third, two thirds, and at the end.
custom_hooks = [
    *[hook for hook in _base_.custom_hooks if hook['type'] != 'ObjectKNNHook'],
    dict(type='ObjectKNNHook', interval=50, by_epoch=False, initial=True),
]
train_cfg = dict(max_iters=150)
optim_wrapper = dict(optimizer=dict(lr=0.12))

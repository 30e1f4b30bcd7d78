"""iBOT with two local crops of 64 px on generated scenes: a CPU, minutes.

Purpose: CPU-sized version of iBOT-MC.
Command: mmdssl train configs/scenes/ibot-mc_vit-micro-p16_1xb24-250i_scenes.py
Measured: not measured.
"""

_base_ = './ibot_vit-micro-p16_1xb24-250i_scenes.py'

local_crop = [
    dict(
        type='RandomResizedCropWithBoxes',
        size=64,
        scale=(0.1, 0.3),
        ratio=(3 / 4, 4 / 3),
        interpolation='bicubic',
    ),
    dict(type='RandomFlipWithBoxes', prob=0.5),
]
model = dict(
    data_preprocessor=dict(policies=_base_.data_preprocessor.policies + [_base_.colour] * 2)
)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImage'),
            dict(
                type='MultiViewWithBoxes',
                num_views=[2, 2],
                pipelines=[_base_.crop + _base_.block_mask, local_crop],
            ),
            dict(type='PackViews', keys=('mask',)),
        ]
    )
)

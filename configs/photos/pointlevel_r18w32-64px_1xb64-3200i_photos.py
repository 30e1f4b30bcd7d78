"""The point-level baseline, half-width ResNet-18, 64 px views, from nothing on photos: a CPU core.

Purpose: cells that lie at one place in place of DenseCL's most similar ones.
Command: mmdssl train configs/photos/pointlevel_r18w32-64px_1xb64-3200i_photos.py
    --amp bf16 --cfg-options data_root=PHOTOS
Measured: see README.md beside this file.
"""

_base_ = './densecl_r18w32-64px_1xb64-3200i_photos.py'

model = dict(correspondence='place')
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImage'),
            dict(type='MultiViewWithBoxes', num_views=[2], pipelines=[_base_.crop]),
            dict(type='PackViews', keys=('crop_box', 'flip', 'ori_shape')),
        ]
    ),
)

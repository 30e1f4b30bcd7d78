"""A ViT of width 192 and depth 4 learns from MobileNetV2 and is de-coupled: a CPU core.

Purpose: whether a student leans less on the background than what its teacher says of it.
Command: mmdssl train configs/photos/crossdistill-d_vit-micro-p16-128px_1xb32-1500i_photos.py
    --amp bf16 --cfg-options data_root=PHOTOS model.teacher.checkpoint=FILE
    FILE: mmpretrain's mobilenet_v2_batch256_imagenet
Measured: see README.md beside this file.
"""

_base_ = './crossdistill_vit-micro-p16-128px_1xb32-1500i_photos.py'

# Masks of the paper in patches of 16 px, for half of the views.
model = dict(decoupling=dict(type='DecouplingBranch', weight=0.5, sample_ratio=0.5))
branch_mask = [
    dict(type='GridRegions', grid=3, scale=(0.12, 0.30), key='dc_regions', stream='dc'),
    dict(
        type='RegionCollaborativeCutout',
        ratio=(0.2, 0.6),
        mask_size=(8, 8),
        regions_key='dc_regions',
        key='dc_mask',
        stream='dc',
    ),
]
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImage'),
            dict(type='MultiViewWithBoxes', num_views=[1], pipelines=[_base_.crop + branch_mask]),
            dict(type='PackViews', keys=('dc_mask',)),
        ]
    )
)

# One 224 px view: crop and flip, no change of colours.
# Plain, and with the masks of the de-coupling branch.
mask_size = (14, 14)  # 224 px / 16 px patches

crop = [
    dict(
        type='RandomResizedCropWithBoxes',
        size=224,
        scale=(0.2, 1.0),
        ratio=(3 / 4, 4 / 3),
        interpolation='bicubic',
    ),
    dict(type='RandomFlipWithBoxes', prob=0.5),
]
# RCC on the patch grid, from a random stream of its own: with and without the branch, a run sees
# the same crops.
branch_mask = [
    dict(type='GridRegions', grid=3, scale=(0.12, 0.30), key='dc_regions', stream='dc'),
    dict(
        type='RegionCollaborativeCutout',
        ratio=(0.3, 0.5),
        mask_size=mask_size,
        regions_key='dc_regions',
        key='dc_mask',
        stream='dc',
    ),
]
plain_pipeline = [
    dict(type='LoadImage'),
    dict(type='MultiViewWithBoxes', num_views=[1], pipelines=[crop]),
    dict(type='PackViews'),
]
decoupled_pipeline = [
    dict(type='LoadImage'),
    dict(type='MultiViewWithBoxes', num_views=[1], pipelines=[crop + branch_mask]),
    dict(type='PackViews', keys=('dc_mask',)),
]

data_preprocessor = dict(
    type='MultiViewPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
)

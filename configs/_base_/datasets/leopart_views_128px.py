# Two 128 px crops and four of 64 px that overlap them, no flips, for runs on a CPU. Weak hue
# jitter: a few hundred iterations learn from colour first.
mask_size = (8, 8)  # 128 px / 16 px patches

global_crop = [
    dict(
        type='RandomResizedCropWithBoxes',
        size=128,
        scale=(0.3, 1.0),
        ratio=(3 / 4, 4 / 3),
        interpolation='bilinear',
    )
]
local_crop = [
    dict(
        type='RandomResizedCropWithBoxes',
        size=64,
        scale=(0.1, 0.3),
        ratio=(3 / 4, 4 / 3),
        interpolation='bilinear',
    )
]
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
crops = dict(type='OverlappingCrops', num_views=[2, 4], num_global_views=2)
leopart_pipeline = [
    dict(type='LoadImage'),
    dict(crops, pipelines=[global_crop, local_crop]),
    dict(type='PackViews', keys=('boxes_in_global', 'boxes_in_other')),
]
decoupled_pipeline = [
    dict(type='LoadImage'),
    dict(crops, pipelines=[global_crop + branch_mask, local_crop]),
    dict(type='PackViews', keys=('boxes_in_global', 'boxes_in_other', 'dc_mask')),
]

colour = dict(
    jitter=dict(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.05, prob=0.8),
    grayscale=0.1,
    blur=dict(prob=0.3, sigma=(0.1, 1.0)),
)
data_preprocessor = dict(
    type='MultiViewPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    aug_order='ibot',
    policies=[colour],
    num_views=[6],
)

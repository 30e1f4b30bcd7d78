# Leopart's crops: two of 224 px and four of 96 px, each of
# which shares more than 1 % of the image with both global ones (these 2 % with each other). No
# flips. Two pipelines: plain (the default), and with the masks of the de-coupling branch on the
# global crops.
mask_size = (14, 14)  # 224 px / 16 px patches

global_crop = [
    dict(
        type='RandomResizedCropWithBoxes',
        size=224,
        scale=(0.25, 1.0),
        ratio=(3 / 4, 4 / 3),
        interpolation='bilinear',
    )
]
local_crop = [
    dict(
        type='RandomResizedCropWithBoxes',
        size=96,
        scale=(0.05, 0.25),
        ratio=(3 / 4, 4 / 3),
        interpolation='bilinear',
    )
]
# From a random stream of their own: with and without the branch, a run sees the same crops.
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
crops = dict(
    type='OverlappingCrops',
    num_views=[2, 4],
    num_global_views=2,
    min_overlap=0.01,
    min_overlap_global=0.02,
)
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

# The blur follows grayscale.
data_preprocessor = dict(
    type='MultiViewPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    aug_order='ibot',
    policies=[
        dict(
            jitter=dict(brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2, prob=0.8),
            grayscale=0.2,
            blur=dict(prob=0.5, sigma=(0.1, 2.0)),
        )
    ],
    num_views=[6],
)

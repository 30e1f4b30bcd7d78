# Two 128 px views and their masks, for runs on a CPU. Weak hue jitter: a few hundred iterations
# learn from colour first.
mask_size = (8, 8)  # 128 px / 16 px patches

crop = [
    dict(
        type='RandomResizedCropWithBoxes',
        size=128,
        scale=(0.3, 1.0),
        ratio=(3 / 4, 4 / 3),
        interpolation='bicubic',
    ),
    dict(type='RandomFlipWithBoxes', prob=0.5),
]
block_mask = [
    dict(type='BlockwiseMask', ratio=(0.1, 0.5), empty_prob=0.5, mask_size=mask_size, min_area=4)
]
rcc_mask = [
    dict(type='GridRegions', grid=3, scale=(0.12, 0.30)),
    dict(type='RegionCollaborativeCutout', ratio=(0.2, 0.6), empty_prob=0.5, mask_size=mask_size),
]
branch_mask = [
    dict(type='GridRegions', grid=3, scale=(0.12, 0.30), key='dc_regions', stream='dc'),
    dict(
        type='RegionCollaborativeCutout',
        ratio=(0.2, 0.6),
        mask_size=mask_size,
        regions_key='dc_regions',
        key='dc_mask',
        stream='dc',
    ),
]
block_pipeline = [
    dict(type='LoadImage'),
    dict(type='MultiViewWithBoxes', num_views=[2], pipelines=[crop + block_mask]),
    dict(type='PackViews', keys=('mask',)),
]
rcc_pipeline = [
    dict(type='LoadImage'),
    dict(type='MultiViewWithBoxes', num_views=[2], pipelines=[crop + rcc_mask]),
    dict(type='PackViews', keys=('mask',)),
]
decoupled_pipeline = [
    dict(type='LoadImage'),
    dict(type='MultiViewWithBoxes', num_views=[2], pipelines=[crop + rcc_mask + branch_mask]),
    dict(type='PackViews', keys=('mask', 'dc_mask')),
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
    aug_order='ibot_d',
    policies=[colour, colour],
)

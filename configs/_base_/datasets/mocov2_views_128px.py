# Two 128 px views, for runs on a CPU. Weaker crops and colours than MoCo v2's: a few hundred
# iterations learn from colour first.
crop = [
    dict(
        type='RandomResizedCropWithBoxes',
        size=128,
        scale=(0.3, 1.0),
        ratio=(3 / 4, 4 / 3),
        interpolation='bilinear',
    ),
    dict(type='RandomFlipWithBoxes', prob=0.5),
]
branch_mask = [
    dict(type='GridRegions', grid=3, scale=(0.12, 0.30), key='dc_regions', stream='dc'),
    dict(
        type='RegionCollaborativeCutout',
        ratio=(0.3, 0.5),
        regions_key='dc_regions',
        key='dc_mask',
        stream='dc',
    ),
]
plain_pipeline = [
    dict(type='LoadImage'),
    dict(type='MultiViewWithBoxes', num_views=[2], pipelines=[crop]),
    dict(type='PackViews'),
]
decoupled_pipeline = [
    dict(type='LoadImage'),
    dict(type='MultiViewWithBoxes', num_views=[2], pipelines=[crop + branch_mask]),
    dict(type='PackViews', keys=('dc_mask',)),
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
    policies=[colour, colour],
)

# SlotCon's two 224 px views: the second shares at least 1 % of its area with the first. Plain, and
# with the masks of the de-coupling branch.
crop = [
    dict(
        type='RandomResizedCropWithBoxes',
        size=224,
        scale=(0.08, 1.0),
        ratio=(3 / 4, 4 / 3),
        interpolation='bicubic',
    ),
    dict(type='RandomFlipWithBoxes', prob=0.5),
]
# RCC in pixels, from a random stream of its own: with and without the branch, a run sees the same
# crops.
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
pair = dict(
    type='OverlappingPairs',
    num_views=[2],
    pairs=[(0, 1)],
    redraw='second',
    min_share=0.01,
    tries=10,
)
plain_pipeline = [
    dict(type='LoadImage'),
    dict(pair, pipelines=[crop]),
    dict(type='PackViews', keys=('crop_box', 'flip')),
]
decoupled_pipeline = [
    dict(type='LoadImage'),
    dict(pair, pipelines=[crop + branch_mask]),
    dict(type='PackViews', keys=('crop_box', 'flip', 'dc_mask')),
]

# BYOL's colours: the blur follows grayscale.
data_preprocessor = dict(
    type='MultiViewPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    aug_order='ibot',
    policies=[
        dict(
            jitter=dict(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, prob=0.8),
            grayscale=0.2,
            blur=dict(prob=1.0, sigma=(0.1, 2.0)),
        ),
        dict(
            jitter=dict(brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, prob=0.8),
            grayscale=0.2,
            blur=dict(prob=0.1, sigma=(0.1, 2.0)),
            solarize=dict(prob=0.2, threshold=0.5),
        ),
    ],
)

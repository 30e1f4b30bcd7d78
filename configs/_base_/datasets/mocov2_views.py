# Two 224 px views as in MoCo v2 and DenseCL: plain, and
# with the masks of the de-coupling branch. Both views alike; the first is the query, the second
# the key.

crop = [
    dict(
        type='RandomResizedCropWithBoxes',
        size=224,
        scale=(0.2, 1.0),
        ratio=(3 / 4, 4 / 3),
        interpolation='bilinear',
    ),
    dict(type='RandomFlipWithBoxes', prob=0.5),
]
# RCC in pixels, from a random stream of its own: with and without the branch, a run sees the same
# crops. Every view has a mask, so that any view can be a key view.
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
    jitter=dict(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, prob=0.8),
    grayscale=0.2,
    blur=dict(prob=0.5, sigma=(0.1, 2.0)),
)
data_preprocessor = dict(
    type='MultiViewPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    aug_order='ibot',  # jitter, grayscale, blur: MoCo's order as well
    policies=[colour, colour],
)

# Two 224 px views: pipelines with block masks (the
# default), with RCC masks, and with RCC masks and those of the de-coupling branch.
mask_size = (14, 14)  # 224 px / 16 px patches

crop = [
    dict(
        type='RandomResizedCropWithBoxes',
        size=224,
        scale=(0.14, 1.0),
        ratio=(3 / 4, 4 / 3),
        interpolation='bicubic',
    ),
    dict(type='RandomFlipWithBoxes', prob=0.5),
]
# iBOT's masks: half of the views plain, the others U(0.1, 0.5) in blocks.
block_mask = [dict(type='BlockwiseMask', ratio=(0.1, 0.5), empty_prob=0.5, mask_size=mask_size)]
# The public iBOT-D run: half plain, the others RCC with U(0.2, 0.6).
rcc_mask = [
    dict(type='GridRegions', grid=3, scale=(0.12, 0.30)),
    dict(type='RegionCollaborativeCutout', ratio=(0.2, 0.6), empty_prob=0.5, mask_size=mask_size),
]
# Masks of the de-coupling branch, from a random stream of their own: with and without the
# branch, a run sees the same crops and MIM masks.
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

data_preprocessor = dict(
    type='MultiViewPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    aug_order='ibot_d',
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

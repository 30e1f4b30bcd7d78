# One weakly changed view of a photo and a mask for the branch, to de-couple what a backbone knows
# already. A square of a tenth to half of the view is cut; with complement_ratio=1 the branch keeps
# it and exchanges the rest, as O-KNN-D does around an object.
_base_ = './photos_loader.py'

view_size = 160
crop = [
    dict(
        type='RandomResizedCropWithBoxes',
        size=view_size,
        scale=(0.5, 1.0),
        ratio=(3 / 4, 4 / 3),
        interpolation='bilinear',
    ),
    dict(type='RandomFlipWithBoxes', prob=0.5),
]
square_mask = [
    dict(type='GridRegions', grid=1, scale=(1.0, 1.0), aspect=(1.0, 1.0), key='whole', stream='dc'),
    dict(
        type='SquareCutout',
        ratio=(0.1, 0.5),
        prob=1.0,
        regions_key='whole',
        key='dc_mask',
        stream='dc',
    ),
]
efficiency = dict(workers=1)
train_dataloader = dict(
    batch_size=16,
    dataset=dict(
        pipeline=[
            dict(type='LoadImage'),
            dict(type='MultiViewWithBoxes', num_views=[1], pipelines=[crop + square_mask]),
            dict(type='PackViews', keys=('dc_mask',)),
        ]
    ),
)
colour = dict(jitter=dict(brightness=0.2, contrast=0.2, saturation=0.1, hue=0.02, prob=0.5))
data_preprocessor = dict(
    type='MultiViewPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    aug_order='ibot',
    policies=[colour],
)

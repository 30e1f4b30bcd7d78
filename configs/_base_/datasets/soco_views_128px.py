# SoCo's two views at 128 px with four common boxes, for runs on a CPU. Weak colours: a few hundred
# iterations learn from colour first. The steps follow those that load an image and its proposals.
flip = dict(type='RandomFlipWithBoxes', prob=0.5)
views = [
    [dict(type='ResizeWithBoxes', size=128, interpolation='bilinear'), flip],
    [
        dict(
            type='RandomResizedCropWithBoxes',
            size=128,
            scale=(0.6, 1.0),
            ratio=(3 / 4, 4 / 3),
            interpolation='bilinear',
        ),
        flip,
    ],
]
no_erase = [dict(type='EmptyMask', key='erase')]
square_erase = [dict(type='SquareCutout', ratio=(0.1, 0.3), prob=0.5, key='erase')]
rcc_erase = [dict(type='RegionCollaborativeCutout', ratio=(0.3, 0.5), key='erase')]
branch_mask = [dict(type='RegionCollaborativeCutout', ratio=(0.3, 0.5), key='dc_mask', stream='dc')]
common = dict(type='CommonBoxViews', num_views=[1, 1], pipelines=views, num_boxes=4, tries=5)
soco_steps = [
    dict(common, finish=[no_erase, square_erase]),
    dict(type='PackViews', keys=('boxes', 'box_ids', 'erase')),
]
decoupled_steps = [
    dict(common, finish=[no_erase + branch_mask, square_erase + branch_mask]),
    dict(type='PackViews', keys=('boxes', 'box_ids', 'erase', 'dc_mask')),
]
soco_rcc_steps = [
    dict(common, finish=[no_erase, rcc_erase]),
    dict(type='PackViews', keys=('boxes', 'box_ids', 'erase')),
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
    erase_key='erase',
    policies=[colour, colour],
)

# SoCo's two 224 px views with four common selective-search boxes:
# the whole image, and a large crop of it out of which every second box loses a square. Three
# pipelines: plain (the default), with the masks of the de-coupling branch, and with RCC in place
# of the squares.
#
# The steps follow those that load an image and its proposals.
flip = dict(type='RandomFlipWithBoxes', prob=0.5)
views = [
    [dict(type='ResizeWithBoxes', size=224, interpolation='bilinear'), flip],
    [
        dict(
            type='RandomResizedCropWithBoxes',
            size=224,
            scale=(0.6, 1.0),
            ratio=(3 / 4, 4 / 3),
            interpolation='bilinear',
        ),
        flip,
    ],
]
# What each view loses after normalisation; every view needs a mask, an empty one too.
no_erase = [dict(type='EmptyMask', key='erase')]
square_erase = [dict(type='SquareCutout', ratio=(0.1, 0.3), prob=0.5, key='erase')]
rcc_erase = [dict(type='RegionCollaborativeCutout', ratio=(0.3, 0.5), key='erase')]
# Masks of the de-coupling branch: the regions are the chosen boxes. From a random stream of their
# own: with and without the branch, a run sees the same views.
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

# BYOL's colours: the blur follows grayscale.
data_preprocessor = dict(
    type='MultiViewPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    aug_order='ibot',
    erase_key='erase',
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

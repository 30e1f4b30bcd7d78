# D3SSL's views with four common selective-search boxes: x1, the
# whole image, erased by PRC and PRM; x2, a crop, plain. Of x2 the device makes x2s (112 px, with a
# mask of its own) and x3 (its boxes moved onto another image). Two pipelines: with (the default)
# and without what x3 needs.
#
# Masks and x3 follow the proposals ('regions', each once); RBJ moves the boxes that features are
# pooled from ('boxes', four with repetitions) within them. The paper names no flip; MoCo v2's is
# taken with its colours.
#
# The steps follow those that load an image and its proposals.
flip = dict(type='RandomFlipWithBoxes', prob=0.5)
views = [
    [dict(type='ResizeWithBoxes', size=224, interpolation='bilinear'), flip],
    [
        dict(
            type='RandomResizedCropWithBoxes',
            size=224,
            scale=(0.4, 1.0),
            ratio=(3 / 4, 4 / 3),
            interpolation='bilinear',
        ),
        flip,
    ],
]
prc = dict(type='ProposalRandomCutout', ratio=(0.2, 0.5), regions_key='regions')
prm = dict(
    type='ProposalRandomMask', scale=(0.2, 0.6), aspect=(3 / 4, 4 / 3), regions_key='regions'
)
rbj = dict(type='RestrictedBoxJitter', ratio=0.1)
small = dict(key='erase_small', mask_size=112)
erased = [prc, prm, rbj]
plain_and_small = [
    dict(type='EmptyMask', key='erase'),
    dict(prc, **small),
    dict(prm, **small),
    rbj,
]
moved = [dict(type='ShiftedForeground', cutout=dict(ratio=(0.2, 0.5)), boxes_key='regions')]

common = dict(type='CommonBoxViews', num_views=[1, 1], pipelines=views, num_boxes=4, tries=5)
d3ssl_steps = [
    dict(common, finish=[erased, plain_and_small + moved]),
    dict(
        type='PackViews',
        keys=('boxes', 'box_ids', 'erase', 'erase_small', 'paste', 'shift'),
    ),
]
wo_depos_steps = [
    dict(common, finish=[erased, plain_and_small]),
    dict(type='PackViews', keys=('boxes', 'box_ids', 'erase', 'erase_small')),
]

# MoCo v2's colours for both views.
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
    erase_key='erase',
    policies=[colour, colour],
)

"""SoCo with D3SSL's region augmentations: PRC and PRM on both views, RBJ on their boxes.

Reproduces: "De-coupling and De-positioning Dense Self-supervised Learning", Table 6, row
    SoCo + Aug, with COCO for OpenImage-MINI (that one: configs/openimages_mini). The paper does not
    say which views are augmented: both, as in D3SSL, in place of SoCo's cutout of the second.
Command: as SoCo, with configs/soco/soco-d3ssl-aug_resnet50-c4_16xb64-coslr-200e_coco.py
Costs: as SoCo. Ours: not measured.
Published: on OpenImage-MINI VOC detection 55.8 AP (81.2 AP50, 62.1 AP75), coupling ratio 1.20; SoCo
    55.3 (80.4, 61.6), 1.31.
Measured: not measured.
"""

_base_ = './soco_resnet50-c4_16xb64-coslr-200e_coco.py'

region_augmentations = [
    dict(type='ProposalRandomCutout', ratio=(0.2, 0.5), regions_key='regions'),
    dict(type='ProposalRandomMask', scale=(0.2, 0.6), aspect=(3 / 4, 4 / 3), regions_key='regions'),
    dict(type='RestrictedBoxJitter', ratio=0.1),
]
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            *_base_.load,
            dict(_base_.common, finish=[region_augmentations, region_augmentations]),
            dict(type='PackViews', keys=('boxes', 'box_ids', 'erase')),
        ]
    )
)

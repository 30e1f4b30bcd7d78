"""iBOT-D whose branch composes with plain cutout.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 4, row DC_Cutout: 0.3 to 0.5 of each region
    of a 3x3 grid is background, wherever regions overlap; the mask tokens of iBOT itself are RCC.
Command: tools/dist_train.sh configs/ablations/ibot-d-cutout_vit-small-p16_8xb64-coslr-200e_coco.py
    8
Costs: a quarter of the 800 epochs. Ours: not measured.
Published: Cascade Mask R-CNN 39.2 AP; O-KNN 67.7 top-1; coupling ratio 1.26 between objects, 0.10
    within.
Measured: not measured.
"""

_base_ = './ibot-d-rcc_vit-small-p16_8xb64-coslr-200e_coco.py'

from mmdssl.core.config_parts import with_masks  # _base_ comes first: this is no lazy config

branch_mask = [
    dict(type='GridRegions', grid=3, scale=(0.12, 0.30)),
    dict(type='ProposalCutout', ratio=(0.3, 0.5)),
]
own_pipeline = with_masks(_base_.decoupled_pipeline, 'dc_mask', branch_mask)
train_dataloader = dict(dataset=dict(pipeline=own_pipeline))

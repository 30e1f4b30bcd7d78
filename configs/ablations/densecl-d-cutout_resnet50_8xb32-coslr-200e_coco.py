"""DenseCL-D whose branch composes with plain cutout.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 10, row DC_Cutout: 0.3 to 0.5 of each region
    of a 3x3 grid is background, wherever regions overlap.
Command: tools/dist_train.sh configs/ablations/densecl-d-cutout_resnet50_8xb32-coslr-200e_coco.py 8
Costs: a quarter of the 800 epochs. Ours: not measured.
Published: VOC detection 54.6 AP; O-KNN 65.1 top-1; coupling ratio 1.30 between objects, 0.25
    within.
Measured: not measured.
"""

_base_ = '../densecl/densecl-d_resnet50_8xb32-coslr-200e_coco.py'

from mmdssl.core.config_parts import with_masks  # _base_ comes first: this is no lazy config

branch_mask = [
    dict(type='GridRegions', grid=3, scale=(0.12, 0.30)),
    dict(type='ProposalCutout', ratio=(0.3, 0.5)),
]
own_pipeline = with_masks(_base_.decoupled_pipeline, 'dc_mask', branch_mask)
train_dataloader = dict(dataset=dict(pipeline=own_pipeline))

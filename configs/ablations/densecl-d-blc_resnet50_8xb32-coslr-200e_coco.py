"""DenseCL-D whose branch composes with blocks.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 10, row DC_Blc: blocks of 0.3 to 0.5 of the
    view are background.
Command: tools/dist_train.sh configs/ablations/densecl-d-blc_resnet50_8xb32-coslr-200e_coco.py 8
Costs: a quarter of the 800 epochs. Ours: not measured.
Published: VOC detection 55.3 AP; O-KNN 69.0 top-1; coupling ratio 1.16 between objects, 0.20
    within.
Measured: not measured.
"""

_base_ = '../densecl/densecl-d_resnet50_8xb32-coslr-200e_coco.py'

from mmdssl.core.config_parts import with_masks  # _base_ comes first: this is no lazy config

branch_mask = [dict(type='BlockwiseMask', ratio=(0.3, 0.5))]
own_pipeline = with_masks(_base_.decoupled_pipeline, 'dc_mask', branch_mask)
train_dataloader = dict(dataset=dict(pipeline=own_pipeline))

"""DenseCL-D whose branch composes with random patches.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 10, row DC_Ran: 0.4 to 0.6 of the patches
    are background.
Command: tools/dist_train.sh configs/ablations/densecl-d-ran_resnet50_8xb32-coslr-200e_coco.py 8
Costs: a quarter of the 800 epochs. Ours: not measured.
Published: VOC detection 55.5 AP; O-KNN 69.3 top-1; coupling ratio 1.22 between objects, 0.17
    within.
Measured: not measured.
"""

_base_ = '../densecl/densecl-d_resnet50_8xb32-coslr-200e_coco.py'

from mmdssl.core.config_parts import with_masks  # _base_ comes first: this is no lazy config

branch_mask = [dict(type='RandomPatchMask', ratio=(0.4, 0.6), patch_size=16)]
own_pipeline = with_masks(_base_.decoupled_pipeline, 'dc_mask', branch_mask)
train_dataloader = dict(dataset=dict(pipeline=own_pipeline))

"""DenseCL-D whose branch composes with a rectangle.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 10, row DC_Rec, and Table 11, row DC_p-p:
    one rectangle of 0.2 to 0.6 of the view is its foreground.
Command: tools/dist_train.sh configs/ablations/densecl-d-rec_resnet50_8xb32-coslr-200e_coco.py 8
Costs: a quarter of the 800 epochs. Ours: not measured.
Published: VOC detection 55.2 AP; O-KNN 66.7 top-1; coupling ratio 1.25 between objects, 0.24
    within.
Measured: not measured.
"""

_base_ = '../densecl/densecl-d_resnet50_8xb32-coslr-200e_coco.py'

from mmdssl.core.config_parts import with_masks  # _base_ comes first: this is no lazy config

branch_mask = [dict(type='RectangleForeground', ratio=(0.4, 0.8), aspect=(2 / 3, 3 / 2))]
own_pipeline = with_masks(_base_.decoupled_pipeline, 'dc_mask', branch_mask)
train_dataloader = dict(dataset=dict(pipeline=own_pipeline))

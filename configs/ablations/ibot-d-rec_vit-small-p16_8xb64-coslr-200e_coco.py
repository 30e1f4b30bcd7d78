"""iBOT-D whose branch composes with a rectangle.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 4, row DC_Rec, and Table 5, row DC_p-p: one
    rectangle of 0.2 to 0.6 of the view is its foreground; the mask tokens of iBOT itself are RCC.
Command: tools/dist_train.sh configs/ablations/ibot-d-rec_vit-small-p16_8xb64-coslr-200e_coco.py 8
Costs: a quarter of the 800 epochs. Ours: not measured.
Published: Cascade Mask R-CNN 39.3 AP; O-KNN 69.3 top-1; coupling ratio 1.32 between objects, 0.15
    within.
Measured: not measured.
"""

_base_ = './ibot-d-rcc_vit-small-p16_8xb64-coslr-200e_coco.py'

from mmdssl.core.config_parts import with_masks  # _base_ comes first: this is no lazy config

# Nothing supports the complement of a rectangle: what surrounds it is no foreground.
model = dict(decoupling=dict(complement_ratio=0.0))
branch_mask = [dict(type='RectangleForeground', ratio=(0.4, 0.8), aspect=(2 / 3, 3 / 2))]
own_pipeline = with_masks(_base_.decoupled_pipeline, 'dc_mask', branch_mask)
train_dataloader = dict(dataset=dict(pipeline=own_pipeline))

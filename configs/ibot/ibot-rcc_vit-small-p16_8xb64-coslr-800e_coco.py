"""iBOT with Region Collaborative Cutout as its mask, without the de-coupling branch.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 6, row iBOT-RCC.
Command: tools/dist_train.sh configs/ibot/ibot-rcc_vit-small-p16_8xb64-coslr-800e_coco.py 8
Costs: as iBOT. Ours: not measured.
Published: Cascade Mask R-CNN 43.1 box AP, 37.6 mask AP; O-KNN 76.8; inter-object coupling 1.35.
Measured: not measured.
"""

_base_ = './ibot_vit-small-p16_8xb64-coslr-800e_coco.py'

train_dataloader = dict(dataset=dict(pipeline=_base_.rcc_pipeline))

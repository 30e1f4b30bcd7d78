"""SoCo with Region Collaborative Cutout of the proposals in place of its per-box cutout.

Reproduces: "Mind Your Augmentation" (ICLR 2024), Table 6, row SoCo-RCC.
Command: as SoCo, with configs/soco/soco-rcc_resnet50-c4_16xb64-coslr-800e_coco.py
Costs: as SoCo. Ours: not measured.
Published: Mask R-CNN R50-C4 on COCO 38.9 box AP, 33.9 mask AP; O-KNN 74.4; inter-object coupling
    1.10.
Measured: not measured.
"""

_base_ = './soco_resnet50-c4_16xb64-coslr-800e_coco.py'

train_dataloader = dict(dataset=dict(pipeline=_base_.soco_rcc_pipeline))
